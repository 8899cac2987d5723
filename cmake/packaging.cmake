# `cpack -G DEB --config build/release/CPackConfig.cmake` makes three Debian packages of a build:
# fermata-dev (headers, archives, CMake and pkg-config files), fermata-tools (programs) and
# fermata-mirror (the mirror as a service: user, unit, configuration).
include_guard()

set(dev_doc ${CMAKE_INSTALL_DATADIR}/doc/fermata-dev)
set(tools_doc ${CMAKE_INSTALL_DATADIR}/doc/fermata-tools)
install(FILES LICENSE DESTINATION ${dev_doc} RENAME copyright COMPONENT dev)
install(FILES LICENSE DESTINATION ${tools_doc} RENAME copyright COMPONENT tools)
set(mirror_doc ${CMAKE_INSTALL_DATADIR}/doc/fermata-mirror)
install(FILES LICENSE DESTINATION ${mirror_doc} RENAME copyright COMPONENT mirror)
install(FILES docs/mirror.md DESTINATION ${mirror_doc} COMPONENT mirror)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME fermata)
set(CPACK_PACKAGE_VENDOR "The fermata authors")
set(CPACK_PACKAGE_CONTACT "The fermata authors <fermata@localhost.localdomain>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "promises on libuv for programs that keep answering")
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_CURRENT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)  # programs; archives by the script below
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/strip_archives.cmake
                            ${CMAKE_CURRENT_LIST_DIR}/place_configuration.cmake
                            ${CMAKE_CURRENT_LIST_DIR}/place_changelog.cmake)
set(CPACK_THREADS 0)

set(CPACK_COMPONENTS_ALL dev tools mirror)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_DEV_PACKAGE_NAME fermata-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_COMPONENT_DEV_DESCRIPTION
    "This package has what a C++20 program is built with: headers, archives, the
CMake package and pkg-config files of fermata's loop, promise, http, git_mem
and mirror.")
# What the CMake package and the .pc files look for.
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
    "libarchive-dev, libcurl4-openssl-dev (>= 7.88), libdeflate-dev (>= 1.14), libdw-dev (>= 0.188), libfmt-dev (>= 9), libgit2-dev (>= 1.5), libssl-dev (>= 3), libuv1-dev (>= 1.44), pkg-config, zlib1g-dev")

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME fermata-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION net)
set(CPACK_COMPONENT_TOOLS_DESCRIPTION
    "This package has the programs: fermata-probe measures the latency of any HTTP
server, fermata-bench the scheduler; fermata-git clones into memory, checks
packs and reads what it has saved.")
set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS ON)

set(CPACK_DEBIAN_MIRROR_PACKAGE_NAME fermata-mirror)
set(CPACK_DEBIAN_MIRROR_PACKAGE_SECTION net)
set(CPACK_COMPONENT_MIRROR_DESCRIPTION
    "This package has the service: it clones an opam repository into memory, serves
it over HTTP from the first moment on, and follows upstream. Edit
/etc/fermata-mirror/fermata-mirror.toml, then systemctl enable --now
fermata-mirror.")
set(CPACK_DEBIAN_MIRROR_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_MIRROR_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_MIRROR_PACKAGE_RECOMMENDS "ca-certificates, git, openssh-client")  # https, local paths, ssh
set(packaging ${CMAKE_CURRENT_SOURCE_DIR}/mirror/packaging)
set(CPACK_DEBIAN_MIRROR_PACKAGE_CONTROL_EXTRA
    ${packaging}/postinst ${packaging}/prerm ${packaging}/postrm ${packaging}/conffiles)

include(CPack)
