# What every folder of fermata is built with: one call a module, a program or a test.
include_guard()
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

find_program(FERMATA_CCACHE ccache)
if(FERMATA_CCACHE AND PROJECT_IS_TOP_LEVEL)
  # Sloppy about what precompiled headers hide, which it must be to keep what includes them; and
  # blind to where the checkout is, so that another one finds what this one compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}
      CCACHE_NOHASHDIR=1 ${FERMATA_CCACHE})
endif()

set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ${PROJECT_IS_TOP_LEVEL})
if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endif()

# Every library that fermata stands on, found once. All are Debian packages: tools/packages.
macro(fermata_find_dependencies)
  find_package(PkgConfig REQUIRED)
  find_package(Threads REQUIRED)
  find_package(fmt 9 REQUIRED)
  find_package(ZLIB REQUIRED)
  find_package(LibArchive 3.6 REQUIRED)
  find_package(OpenSSL 3 REQUIRED COMPONENTS Crypto)
  find_package(Boost 1.74 REQUIRED)
  find_package(CLI11 2.1 REQUIRED)
  find_package(nlohmann_json 3.11 REQUIRED)
  find_package(tomlplusplus 3 REQUIRED)  # its headers alone
  pkg_check_modules(libuv REQUIRED IMPORTED_TARGET libuv>=1.44)
  pkg_check_modules(libdw REQUIRED IMPORTED_TARGET libdw>=0.188)
  pkg_check_modules(libcurl REQUIRED IMPORTED_TARGET libcurl>=7.88)
  pkg_check_modules(libgit2 REQUIRED IMPORTED_TARGET libgit2>=1.5)
  pkg_check_modules(libdeflate REQUIRED IMPORTED_TARGET libdeflate>=1.14)
  if(FERMATA_DEVELOPER)
    find_package(Catch2 2.13 REQUIRED)
    include(Catch)
  endif()
endmacro()

# Language level, warnings and sanitizer-friendly flags of one target.
function(fermata_compile target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow
                                           -Woverloaded-virtual -Wunused-result)
  if(FERMATA_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE" AND CMAKE_CXX_FLAGS MATCHES "-fsanitize=thread")
    target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/tsan_exceptions.cpp)
  endif()
endfunction()

# fermata_add_module(git_mem FOLDER git-mem PUBLIC fermata::promise PRIVATE PkgConfig::libgit2)
# builds libfermata-git-mem from src/*.cpp and exports it as fermata::git_mem with a pkg-config file.
# TARGET names the target otherwise, where a program has the library's name.
function(fermata_add_module name)
  cmake_parse_arguments(arg "" "FOLDER;DESCRIPTION;TARGET" "PUBLIC;PRIVATE;PC_REQUIRES;PC_PRIVATE" ${ARGN})
  string(REPLACE "_" "-" dashed ${name})
  set(target fermata-${dashed})
  if(arg_TARGET)
    set(target ${arg_TARGET})
  endif()
  file(GLOB sources CONFIGURE_DEPENDS src/*.cpp)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS include/*.hpp)
  add_library(${target} STATIC ${sources})
  add_library(fermata::${name} ALIAS ${target})
  fermata_compile(${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} OUTPUT_NAME fermata-${dashed}
                        VERIFY_INTERFACE_HEADER_SETS ${FERMATA_DEVELOPER}
                        POSITION_INDEPENDENT_CODE ON)
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${headers})
  target_include_directories(${target} PRIVATE src)
  target_link_libraries(${target} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
  install(TARGETS ${target} EXPORT fermata-${name} FILE_SET HEADERS COMPONENT dev
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
  set(needs ${arg_PUBLIC})
  list(FILTER needs INCLUDE REGEX "^fermata::")
  list(TRANSFORM needs REPLACE "^fermata::" "")
  set_property(GLOBAL APPEND PROPERTY FERMATA_MODULES ${name})
  set_property(GLOBAL PROPERTY FERMATA_NEEDS_${name} ${needs})
  fermata_install_pkg_config(fermata-${dashed} "${arg_DESCRIPTION}" "${arg_PC_REQUIRES};${arg_PC_PRIVATE}")
endfunction()

# Writes and installs <name>.pc. The libraries are archives: what they are made with is linked into
# the program that uses them, so all of it stands in Requires, and --static makes no difference.
function(fermata_install_pkg_config PC_NAME PC_DESCRIPTION requires)
  list(REMOVE_ITEM requires "")
  list(REMOVE_DUPLICATES requires)
  list(JOIN requires ", " PC_REQUIRES)
  set(to ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
  file(RELATIVE_PATH PC_UP ${to} ${CMAKE_INSTALL_PREFIX})
  file(RELATIVE_PATH PC_LIBDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
  file(RELATIVE_PATH PC_INCLUDEDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
  string(REGEX REPLACE "/$" "" PC_UP "${PC_UP}")
  configure_file(${PROJECT_SOURCE_DIR}/cmake/module.pc.in ${PC_NAME}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${PC_NAME}.pc
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
endfunction()

# fermata_add_manual(fermata-git COMPONENT tools): packaging/fermata-git.1, compressed and installed.
function(fermata_add_manual name)
  cmake_parse_arguments(arg "" "COMPONENT" "" ${ARGN})
  set(from ${CMAKE_CURRENT_SOURCE_DIR}/packaging/${name}.1)
  set(to ${CMAKE_CURRENT_BINARY_DIR}/${name}.1.gz)
  add_custom_command(OUTPUT ${to} DEPENDS ${from} VERBATIM
    COMMAND sh -c "gzip -9nc \"$1\" > \"$2\"" sh ${from} ${to}
    COMMENT "the manual of ${name}")
  add_custom_target(${name}-manual ALL DEPENDS ${to})
  install(FILES ${to} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT ${arg_COMPONENT})
endfunction()

# fermata_add_program(fermata-mirror SOURCES programs/x.cpp LIBRARIES fermata::mirror)
# COMPONENT names the package that it is installed with; "tools" where none is given.
function(fermata_add_program name)
  cmake_parse_arguments(arg "" "COMPONENT" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT arg_COMPONENT)
    set(arg_COMPONENT tools)
  endif()
  add_executable(${name} ${arg_SOURCES})
  fermata_compile(${name})
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES})
  target_compile_definitions(${name} PRIVATE FERMATA_VERSION="${PROJECT_VERSION}")
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT ${arg_COMPONENT})
endfunction()

# fermata_add_test(loop LIBRARIES fermata::loop) builds tests/<name>/*.cpp into one executable whose
# every test case is a ctest. A test that needs absent data prints "skipped: <what>".
function(fermata_add_test name)
  cmake_parse_arguments(arg "NO_DISCOVERY" "" "LIBRARIES;LABELS;PROPERTIES" ${ARGN})
  string(REPLACE "-" "_" base ${name})
  set(target ${base}_tests)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(${target} ${sources})
  fermata_compile(${target})
  target_link_libraries(${target} PRIVATE ${arg_LIBRARIES} fermata-test-support Catch2::Catch2WithMain)
  target_precompile_headers(${target} PRIVATE <catch2/catch.hpp> <string> <vector>)
  if(FERMATA_CCACHE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)  # ccache cannot see through it else
  endif()
  if(NOT arg_NO_DISCOVERY)
    catch_discover_tests(${target} TEST_PREFIX "${name}: " PROPERTIES TIMEOUT 300
                         SKIP_REGULAR_EXPRESSION "skipped: " LABELS "${arg_LABELS}" ${arg_PROPERTIES})
  endif()
endfunction()

# The package: find_package(fermata COMPONENTS promise), one export file and one .pc file a module.
function(fermata_install_package)
  set(dir ${CMAKE_INSTALL_LIBDIR}/cmake/fermata)
  get_property(modules GLOBAL PROPERTY FERMATA_MODULES)
  set(FERMATA_MODULES_DOWNWARDS)
  set(FERMATA_MODULE_NEEDS)
  foreach(module IN LISTS modules)
    install(EXPORT fermata-${module} NAMESPACE fermata:: DESTINATION ${dir}
            COMPONENT dev)
    list(PREPEND FERMATA_MODULES_DOWNWARDS ${module})
    get_property(needs GLOBAL PROPERTY FERMATA_NEEDS_${module})
    list(JOIN needs " " needs)
    string(APPEND FERMATA_MODULE_NEEDS "set(fermata_${module}_needs ${needs})\n")
  endforeach()
  list(JOIN FERMATA_MODULES_DOWNWARDS " " FERMATA_MODULES_DOWNWARDS)
  configure_package_config_file(cmake/fermata-config.cmake.in fermata-config.cmake
                                INSTALL_DESTINATION ${dir})
  write_basic_package_version_file(fermata-config-version.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/fermata-config.cmake
                ${PROJECT_BINARY_DIR}/fermata-config-version.cmake DESTINATION ${dir}
          COMPONENT dev)
endfunction()
