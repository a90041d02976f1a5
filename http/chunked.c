#include "http/chunked.h"

#include <stdbool.h>
#include <string.h>

enum {
    STATE_SIZE,      /* the digits of a chunk's size */
    STATE_EXTENSION, /* behind them, up to the line's CR */
    STATE_SIZE_LF,   /* the LF of that line */
    STATE_DATA,      /* the chunk itself */
    STATE_DATA_CR,   /* the line end behind it */
    STATE_DATA_LF,
    STATE_TRAILER,      /* at the beginning of a trailer's line, or of the empty line at the end */
    STATE_TRAILER_TEXT, /* within one */
    STATE_TRAILER_LF,
    STATE_END_LF,

    DIGITS_MAX = 8, /* no body is so large */
    EXTRA_MAX = 4096,
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_text(char c)
{
    return c == '\t' || ((unsigned char)c >= ' ' && c != 0x7f);
}

static bool size_byte(struct chunked *chunked, char c)
{
    int digit = hex_digit(c);

    if (digit >= 0) {
        chunked->left = chunked->left << 4 | (unsigned)digit;
        return ++chunked->digits <= DIGITS_MAX;
    }
    /* No spaces around the size: readers have differed over them. */
    chunked->state = c == '\r' ? STATE_SIZE_LF : STATE_EXTENSION;
    return chunked->digits > 0 && (c == '\r' || c == ';');
}

/* Reads one byte outside of data. False: it must not stand there. */
static bool byte_read(struct chunked *chunked, char c)
{
    switch (chunked->state) {
    case STATE_SIZE:
        return size_byte(chunked, c);
    case STATE_EXTENSION:
        if (c == '\r')
            chunked->state = STATE_SIZE_LF;
        return c == '\r' || (is_text(c) && ++chunked->extra <= EXTRA_MAX);
    case STATE_SIZE_LF:
        chunked->state = chunked->left > 0 ? STATE_DATA : STATE_TRAILER;
        return c == '\n';
    case STATE_DATA_CR:
        chunked->state = STATE_DATA_LF;
        return c == '\r';
    case STATE_DATA_LF:
        chunked->state = STATE_SIZE;
        chunked->digits = 0;
        return c == '\n';
    case STATE_TRAILER:
        chunked->state = c == '\r' ? STATE_END_LF : STATE_TRAILER_TEXT;
        return c == '\r' || (is_text(c) && ++chunked->extra <= EXTRA_MAX);
    case STATE_TRAILER_TEXT:
        if (c == '\r')
            chunked->state = STATE_TRAILER_LF;
        return c == '\r' || (is_text(c) && ++chunked->extra <= EXTRA_MAX);
    case STATE_TRAILER_LF:
        chunked->state = STATE_TRAILER;
        return c == '\n';
    default:
        return c == '\n'; /* STATE_END_LF */
    }
}

/* Takes what there is of a chunk's data; returns how much. */
static size_t data_read(struct chunked *chunked, const char *in, size_t length, char *out)
{
    size_t size = length < chunked->left ? length : chunked->left;

    memcpy(out, in, size);
    chunked->left -= size;
    if (chunked->left == 0)
        chunked->state = STATE_DATA_CR;
    return size;
}

enum chunked_progress chunked_read(struct chunked *chunked, const char *in, size_t length, size_t *used,
                                   char *out, size_t room, size_t *filled)
{
    for (*used = 0; *used < length;) {
        if (chunked->state == STATE_DATA) {
            if (chunked->left > room - *filled)
                return CHUNKED_TOO_LARGE;
            size_t size = data_read(chunked, in + *used, length - *used, out + *filled);
            *used += size;
            *filled += size;
            continue;
        }
        bool is_last = chunked->state == STATE_END_LF;
        if (!byte_read(chunked, in[(*used)++]))
            return CHUNKED_BROKEN;
        if (is_last)
            return CHUNKED_WHOLE;
    }
    return CHUNKED_PART;
}
