/* A chunked body: the same however it comes in pieces, and never more than there is room for. */
#include "fuzz/fuzz.h"

#include "http/chunked.h"

enum { ROOM = 256 };

struct reading {
    enum chunked_progress progress;
    size_t used, filled;
    char *body;
};

static struct reading read_in_pieces(const uint8_t *data, size_t length, size_t step)
{
    struct reading reading = {.progress = CHUNKED_PART, .body = malloc(ROOM)};
    struct chunked chunked = {0};

    must(reading.body != NULL);
    while (reading.progress == CHUNKED_PART && reading.used < length) {
        size_t left = length - reading.used, piece = left < step ? left : step, used;
        char *in = copy_of(data + reading.used, piece);
        reading.progress = chunked_read(&chunked, in, piece, &used, reading.body, ROOM, &reading.filled);
        free(in);
        must(used <= piece && reading.filled <= ROOM);
        must(reading.progress != CHUNKED_PART || used == piece);
        reading.used += used;
    }
    return reading;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reading whole = read_in_pieces(data, size, SIZE_MAX / 2);
    struct reading pieces = read_in_pieces(data, size, 1 + size / 11);

    must(whole.progress == pieces.progress && whole.used == pieces.used && whole.filled == pieces.filled);
    must(memcmp(whole.body, pieces.body, whole.filled) == 0);
    free(whole.body);
    free(pieces.body);
    return 0;
}
