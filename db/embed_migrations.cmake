# Writes OUT, a C file that holds every migrations/NNNN_name.sql of DIR as a string.
# usage: cmake -DDIR=migrations -DOUT=file.c -P embed_migrations.cmake
file(GLOB files "${DIR}/*.sql")
list(SORT files)
set(rows "")
set(expected 1)
foreach(file IN LISTS files)
  get_filename_component(name "${file}" NAME_WE)
  if(NOT name MATCHES "^([0-9][0-9][0-9][0-9])_[a-z0-9_]+$")
    message(FATAL_ERROR "migration ${name}: the name must be NNNN_name.sql")
  endif()
  math(EXPR number "1${CMAKE_MATCH_1} - 10000")
  if(NOT number EQUAL expected)
    message(FATAL_ERROR "migration ${name}: number ${expected} is next")
  endif()
  math(EXPR expected "${expected} + 1")
  file(READ "${file}" sql HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" sql "${sql}")
  # A string of hexadecimal escapes must not run on into the next literal's digits: break it every 16 bytes.
  string(REGEX REPLACE "((\\\\x[0-9a-f][0-9a-f])(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?)" "\n     \"\\1\"" sql "${sql}")
  string(APPEND rows "    {\"${name}\",${sql}},\n")
endforeach()
file(WRITE "${OUT}" "/* Made from migrations/ by db/embed_migrations.cmake. */\n"
  "#include \"db/migrations.h\"\n\nconst struct migration migrations[] = {\n${rows}};\n"
  "const size_t migration_count = sizeof migrations / sizeof migrations[0];\n")
