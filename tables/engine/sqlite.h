/* The part of SQLite's public interface that the engine uses, declared by hand
** so that a plain "go build" needs neither a header nor a build tag. It links
** against the copy of SQLite in github.com/mattn/go-sqlite3, and edr_version
** says at run time whether that copy is the one these declarations are for.
**
** Each function is declared weak: cgo links this package once on its own to
** learn what it imports, and the definitions are only there in the final link.
*/
#ifndef EDR_SQLITE_H
#define EDR_SQLITE_H

#include <stddef.h>
#include <stdint.h>

#define EDR_SQLITE_VERSION 3054001

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;
typedef struct sqlite3_value sqlite3_value;
typedef struct sqlite3_context sqlite3_context;
typedef struct sqlite3_str sqlite3_str;
typedef long long int sqlite3_int64;
typedef unsigned long long int sqlite3_uint64;
typedef struct sqlite3_module sqlite3_module;
typedef struct sqlite3_vtab sqlite3_vtab;
typedef struct sqlite3_vtab_cursor sqlite3_vtab_cursor;
typedef struct sqlite3_index_info sqlite3_index_info;
typedef struct sqlite3_mem_methods sqlite3_mem_methods;
typedef void (*sqlite3_destructor_type)(void *);

struct sqlite3_module {
  int iVersion;
  int (*xCreate)(sqlite3 *, void *, int, const char *const *, sqlite3_vtab **, char **);
  int (*xConnect)(sqlite3 *, void *, int, const char *const *, sqlite3_vtab **, char **);
  int (*xBestIndex)(sqlite3_vtab *, sqlite3_index_info *);
  int (*xDisconnect)(sqlite3_vtab *);
  int (*xDestroy)(sqlite3_vtab *);
  int (*xOpen)(sqlite3_vtab *, sqlite3_vtab_cursor **);
  int (*xClose)(sqlite3_vtab_cursor *);
  int (*xFilter)(sqlite3_vtab_cursor *, int, const char *, int, sqlite3_value **);
  int (*xNext)(sqlite3_vtab_cursor *);
  int (*xEof)(sqlite3_vtab_cursor *);
  int (*xColumn)(sqlite3_vtab_cursor *, sqlite3_context *, int);
  int (*xRowid)(sqlite3_vtab_cursor *, sqlite3_int64 *);
  int (*xUpdate)(sqlite3_vtab *, int, sqlite3_value **, sqlite3_int64 *);
  int (*xBegin)(sqlite3_vtab *);
  int (*xSync)(sqlite3_vtab *);
  int (*xCommit)(sqlite3_vtab *);
  int (*xRollback)(sqlite3_vtab *);
  int (*xFindFunction)(sqlite3_vtab *, int, const char *,
                       void (**)(sqlite3_context *, int, sqlite3_value **), void **);
  int (*xRename)(sqlite3_vtab *, const char *);
  int (*xSavepoint)(sqlite3_vtab *, int);
  int (*xRelease)(sqlite3_vtab *, int);
  int (*xRollbackTo)(sqlite3_vtab *, int);
  int (*xShadowName)(const char *);
  int (*xIntegrity)(sqlite3_vtab *, const char *, const char *, int, char **);
};

struct sqlite3_vtab {
  const sqlite3_module *pModule;
  int nRef;
  char *zErrMsg;
};

struct sqlite3_vtab_cursor {
  sqlite3_vtab *pVtab;
};

struct sqlite3_index_info {
  int nConstraint;
  struct sqlite3_index_constraint {
    int iColumn;
    unsigned char op;
    unsigned char usable;
    int iTermOffset;
  } *aConstraint;
  int nOrderBy;
  struct sqlite3_index_orderby {
    int iColumn;
    unsigned char desc;
  } *aOrderBy;
  struct sqlite3_index_constraint_usage {
    int argvIndex;
    unsigned char omit;
  } *aConstraintUsage;
  int idxNum;
  char *idxStr;
  int needToFreeIdxStr;
  int orderByConsumed;
  double estimatedCost;
  sqlite3_int64 estimatedRows;
  int idxFlags;
  sqlite3_uint64 colUsed;
};

struct sqlite3_mem_methods {
  void *(*xMalloc)(int);
  void (*xFree)(void *);
  void *(*xRealloc)(void *, int);
  int (*xSize)(void *);
  int (*xRoundup)(int);
  int (*xInit)(void *);
  void (*xShutdown)(void *);
  void *pAppData;
};

#define SQLITE_OK 0
#define SQLITE_ERROR 1
#define SQLITE_NOMEM 7
#define SQLITE_INTERRUPT 9
#define SQLITE_TOOBIG 18
#define SQLITE_ROW 100
#define SQLITE_DONE 101

#define SQLITE_OPEN_READWRITE 0x00000002
#define SQLITE_OPEN_CREATE 0x00000004
#define SQLITE_OPEN_MEMORY 0x00000080
#define SQLITE_OPEN_NOMUTEX 0x00008000

#define SQLITE_INTEGER 1
#define SQLITE_FLOAT 2
#define SQLITE_TEXT 3
#define SQLITE_BLOB 4
#define SQLITE_NULL 5

#define SQLITE_UTF8 1
#define SQLITE_DETERMINISTIC 0x000000800
#define SQLITE_INNOCUOUS 0x000200000
#define SQLITE_TRANSIENT ((sqlite3_destructor_type)-1)

#define SQLITE_INDEX_CONSTRAINT_EQ 2
#define SQLITE_INDEX_CONSTRAINT_GT 4
#define SQLITE_INDEX_CONSTRAINT_LE 8
#define SQLITE_INDEX_CONSTRAINT_LT 16
#define SQLITE_INDEX_CONSTRAINT_GE 32
#define SQLITE_INDEX_CONSTRAINT_LIKE 65
#define SQLITE_INDEX_CONSTRAINT_GLOB 66

#define SQLITE_CONFIG_MALLOC 4
#define SQLITE_CONFIG_GETMALLOC 5

#define SQLITE_DBCONFIG_ENABLE_TRIGGER 1003
#define SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER 1004
#define SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION 1005
#define SQLITE_DBCONFIG_DEFENSIVE 1010
#define SQLITE_DBCONFIG_TRUSTED_SCHEMA 1017

#define EDR_API extern __attribute__((weak))

EDR_API int sqlite3_libversion_number(void);
EDR_API int sqlite3_config(int, ...);
EDR_API int sqlite3_open_v2(const char *, sqlite3 **, int, const char *);
EDR_API int sqlite3_close_v2(sqlite3 *);
EDR_API int sqlite3_extended_result_codes(sqlite3 *, int);
EDR_API int sqlite3_db_config(sqlite3 *, int, ...);
EDR_API int sqlite3_limit(sqlite3 *, int, int);
EDR_API int sqlite3_exec(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **);
EDR_API const char *sqlite3_errmsg(sqlite3 *);
EDR_API const char *sqlite3_errstr(int);
EDR_API int sqlite3_error_offset(sqlite3 *);
EDR_API void sqlite3_interrupt(sqlite3 *);
EDR_API void sqlite3_progress_handler(sqlite3 *, int, int (*)(void *), void *);
EDR_API int sqlite3_set_authorizer(sqlite3 *,
    int (*)(void *, int, const char *, const char *, const char *, const char *), void *);
EDR_API int sqlite3_create_module_v2(sqlite3 *, const char *, const sqlite3_module *, void *, void (*)(void *));
EDR_API int sqlite3_drop_modules(sqlite3 *, const char **);
EDR_API int sqlite3_declare_vtab(sqlite3 *, const char *);
EDR_API int sqlite3_vtab_in(sqlite3_index_info *, int, int);
EDR_API int sqlite3_vtab_in_first(sqlite3_value *, sqlite3_value **);
EDR_API int sqlite3_vtab_in_next(sqlite3_value *, sqlite3_value **);
EDR_API const char *sqlite3_vtab_collation(sqlite3_index_info *, int);
EDR_API int sqlite3_create_function_v2(sqlite3 *, const char *, int, int, void *,
    void (*)(sqlite3_context *, int, sqlite3_value **),
    void (*)(sqlite3_context *, int, sqlite3_value **),
    void (*)(sqlite3_context *), void (*)(void *));
EDR_API void *sqlite3_user_data(sqlite3_context *);
EDR_API int sqlite3_prepare_v3(sqlite3 *, const char *, int, unsigned int, sqlite3_stmt **, const char **);
EDR_API int sqlite3_step(sqlite3_stmt *);
EDR_API int sqlite3_finalize(sqlite3_stmt *);
EDR_API int sqlite3_stmt_readonly(sqlite3_stmt *);
EDR_API int sqlite3_bind_parameter_count(sqlite3_stmt *);
EDR_API int sqlite3_column_count(sqlite3_stmt *);
EDR_API const char *sqlite3_column_name(sqlite3_stmt *, int);
EDR_API const char *sqlite3_column_decltype(sqlite3_stmt *, int);
EDR_API int sqlite3_column_type(sqlite3_stmt *, int);
EDR_API sqlite3_int64 sqlite3_column_int64(sqlite3_stmt *, int);
EDR_API double sqlite3_column_double(sqlite3_stmt *, int);
EDR_API const unsigned char *sqlite3_column_text(sqlite3_stmt *, int);
EDR_API const void *sqlite3_column_blob(sqlite3_stmt *, int);
EDR_API int sqlite3_column_bytes(sqlite3_stmt *, int);
EDR_API int sqlite3_value_type(sqlite3_value *);
EDR_API int sqlite3_value_numeric_type(sqlite3_value *);
EDR_API sqlite3_int64 sqlite3_value_int64(sqlite3_value *);
EDR_API double sqlite3_value_double(sqlite3_value *);
EDR_API const unsigned char *sqlite3_value_text(sqlite3_value *);
EDR_API const void *sqlite3_value_blob(sqlite3_value *);
EDR_API int sqlite3_value_bytes(sqlite3_value *);
EDR_API void sqlite3_result_null(sqlite3_context *);
EDR_API void sqlite3_result_int64(sqlite3_context *, sqlite3_int64);
EDR_API void sqlite3_result_double(sqlite3_context *, double);
EDR_API void sqlite3_result_text64(sqlite3_context *, const char *, sqlite3_uint64,
                                   sqlite3_destructor_type, unsigned char);
EDR_API void sqlite3_result_blob64(sqlite3_context *, const void *, sqlite3_uint64, sqlite3_destructor_type);
EDR_API void sqlite3_result_error(sqlite3_context *, const char *, int);
EDR_API void *sqlite3_malloc64(sqlite3_uint64);
EDR_API void *sqlite3_realloc64(void *, sqlite3_uint64);
EDR_API void sqlite3_free(void *);
EDR_API char *sqlite3_mprintf(const char *, ...);
EDR_API sqlite3_str *sqlite3_str_new(sqlite3 *);
EDR_API void sqlite3_str_appendf(sqlite3_str *, const char *, ...);
EDR_API char *sqlite3_str_finish(sqlite3_str *);

#endif
