# Run by CPack on what it is about to pack: the configuration, which is installed below the prefix,
# also goes to /etc, where Debian keeps what the operator changes.
file(GLOB_RECURSE configurations
     ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/*/usr/share/fermata-mirror/fermata-mirror.toml)
foreach(configuration IN LISTS configurations)
  string(REGEX REPLACE "/usr/share/.*" "" root ${configuration})
  file(COPY ${configuration} DESTINATION ${root}/etc/fermata-mirror)
endforeach()
