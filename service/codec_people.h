/*
 * JSON in and out for people: users, roles, tokens, shares and the audit. As codec.h, beside the sessions.
 */
#ifndef PKTCAPD_SERVICE_CODEC_PEOPLE_H
#define PKTCAPD_SERVICE_CODEC_PEOPLE_H

#include "core/request.h"
#include "service/people.h"

/* A decoded body, and the text that its request points to. */
struct user_body {
    struct user_request request;
    char name[UTF8_SIZE(64)], role[UTF8_SIZE(64)];
    char groups[GROUPS_SIZE];
    char password[UTF8_SIZE(PASSWORD_MAX)], old_password[UTF8_SIZE(PASSWORD_MAX)];
    bool disabled;
};

/* Of a new user. */
void codec_decode_user(const char *body, size_t length, struct user_body *out, struct errors *errors);

/* Of a change of the user of this name. */
void codec_decode_user_change(const char *body, size_t length, const char *name, struct user_body *out,
                              struct errors *errors);

/* Of the role of this name. What is absent is no limit, not allowed, everywhere: only an empty list of points
 * is nowhere. What a role is shown with may come back: the same name, and built_in, which is not looked at.
 */
void codec_decode_role(const char *body, size_t length, const char *name, struct role *role,
                       struct errors *errors);

struct token_body {
    struct token_request request;
    char name[UTF8_SIZE(255)], user[UTF8_SIZE(64)];
};

/* An empty body asks for a token that is the caller's and never expires. */
void codec_decode_token(const char *body, size_t length, struct token_body *out, struct errors *errors);

/* {"user": NAME} or {"group": NAME}. */
void codec_decode_share(const char *body, size_t length, struct share *share, struct errors *errors);

/* {"user": NAME} */
void codec_decode_owner(const char *body, size_t length, char owner[UTF8_SIZE(64)], struct errors *errors);

/* All encoders return a string that the caller frees, NULL if memory is out. */
char *codec_encode_user(const struct user *user); /* without any hash */
char *codec_encode_role(const struct role *role);
char *codec_encode_token(const struct token *token, const char *secret); /* NULL: it is not told again */
char *codec_encode_whoami(const struct caller *who, const struct usage *usage);

/* A list of one of these; the functions between open and close are visitors. */
struct people_list;
struct people_list *codec_people_open(void);
void codec_people_add_user(void *list, const struct user *user);
void codec_people_add_role(void *list, const struct role *role);
void codec_people_add_token(void *list, const struct token *token);
void codec_people_add_audit(void *list, const struct audit_record *record);

/* total counts all pages; negative: this is all. cursor is empty on the last page. */
char *codec_people_close(struct people_list *list, int64_t total, const char *cursor);
void codec_people_abandon(struct people_list *list);

#endif
