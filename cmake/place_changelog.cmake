# Run by CPack on what it is about to pack: the changes, which Debian wants of each package. The date
# is SOURCE_DATE_EPOCH's where that is set.
find_program(gzip gzip REQUIRED)
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(GLOB docs ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/*/usr/share/doc/fermata-*)
set(to_compress)
foreach(doc IN LISTS docs)
  file(WRITE ${doc}/changelog.Debian
       "fermata (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium\n\n"
       "  * What is new stands in changelog.gz.\n\n"
       " -- ${CPACK_PACKAGE_CONTACT}  ${date}\n")
  file(COPY_FILE ${CMAKE_CURRENT_LIST_DIR}/../CHANGELOG.md ${doc}/changelog)
  file(CHMOD ${doc}/changelog PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  list(APPEND to_compress ${doc}/changelog.Debian ${doc}/changelog)
endforeach()
foreach(file IN LISTS to_compress)
  execute_process(COMMAND ${gzip} -9nf ${file} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
