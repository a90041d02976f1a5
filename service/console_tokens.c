/* pktcapd token ... */
#include "auth/secrets.h"
#include "core/clock.h"
#include "service/console_parts.h"

enum status console_token_add(struct console *console)
{
    const struct console_line *line = console->line;
    const char *expires = console_flag(line, "expires");
    const struct token_request request = {.user = line->words[0],
                                          .name = console_flag(line, "name"),
                                          .expires_in_s = expires == NULL ? 0 : console_span_s(expires)};
    struct token token;
    char secret[TOKEN_SECRET_SIZE];

    console_about(console, request.user);
    enum status status = op_create_token(&console->context, &request, &token, secret, &console->errors);
    if (status != STATUS_OK)
        return status;
    console_about(console, token.id);
    detail_add(console->detail, "of %s", token.user);
    puts(secret);
    fprintf(stderr, "pktcapd: token %s of %s; it is not shown again\n", token.id, token.user);
    secret_forget(secret, sizeof secret);
    return STATUS_OK;
}

static const char *state_of(const struct token *token)
{
    if (token->revoked_ms != 0)
        return "revoked";
    return token->expires_ms != 0 && token->expires_ms <= clock_now_ms() ? "expired" : "valid";
}

static void token_print(void *unused, const struct token *token)
{
    (void)unused;
    console_column(token->id, '\t');
    console_column(token->user, '\t');
    console_column(token->name, '\t');
    console_column(state_of(token), '\t');
    console_column_time(token->created_ms, '\t');
    console_column_time(token->expires_ms, '\t');
    console_column_time(token->used_ms, '\n');
}

enum status console_token_list(struct console *console)
{
    const char *user = console->line->word_count == 0 ? "*" : console->line->words[0];

    return op_list_tokens(&console->context, user, token_print, NULL, &console->errors);
}

enum status console_token_revoke(struct console *console)
{
    const char *id = console->line->words[0];
    struct token token;

    console_about(console, id);
    return op_revoke_token(&console->context, id, &token, &console->errors);
}
