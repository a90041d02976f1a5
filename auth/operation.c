#include "auth/operation.h"

NAMES_DEFINE(, operation_names, [OPERATION_CREATE_SESSION] = "create", [OPERATION_GET_SESSION] = "get",
             [OPERATION_RESTART_SESSION] = "restart", [OPERATION_TERMINATE_SESSION] = "terminate",
             [OPERATION_DELETE_SESSION] = "delete", [OPERATION_GET_CAPTURE_FILE] = "download",
             [OPERATION_LIST_SESSIONS] = "list", [OPERATION_DELETE_SESSIONS] = "delete-all",
             [OPERATION_LIST_POINTS] = "list-points", [OPERATION_SHARE_SESSION] = "share",
             [OPERATION_UNSHARE_SESSION] = "unshare", [OPERATION_TRANSFER_SESSION] = "transfer",
             [OPERATION_LOGIN] = "login", [OPERATION_LOGOUT] = "logout", [OPERATION_WHOAMI] = "whoami",
             [OPERATION_CREATE_TOKEN] = "create-token", [OPERATION_LIST_TOKENS] = "list-tokens",
             [OPERATION_GET_TOKEN] = "get-token", [OPERATION_REVOKE_TOKEN] = "revoke-token",
             [OPERATION_CREATE_USER] = "create-user", [OPERATION_LIST_USERS] = "list-users",
             [OPERATION_GET_USER] = "get-user", [OPERATION_CHANGE_USER] = "change-user",
             [OPERATION_DELETE_USER] = "delete-user", [OPERATION_LIST_ROLES] = "list-roles",
             [OPERATION_GET_ROLE] = "get-role", [OPERATION_PUT_ROLE] = "put-role",
             [OPERATION_DELETE_ROLE] = "delete-role", [OPERATION_LIST_AUDIT] = "audit");
