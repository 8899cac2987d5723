# `cmake --build build/release --target reference` writes reference/html/index.html in the build
# folder, from the public headers. tools/check runs the same and takes a warning for an error.
include_guard()

find_program(FERMATA_DOXYGEN doxygen)
if(FERMATA_DOXYGEN)
  add_custom_target(reference
    COMMAND ${CMAKE_COMMAND} -E env FERMATA_VERSION=${PROJECT_VERSION}
            FERMATA_REFERENCE=${PROJECT_BINARY_DIR}/reference
            ${FERMATA_DOXYGEN} docs/Doxyfile
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    COMMENT "the reference, from the headers"
    VERBATIM)
endif()
