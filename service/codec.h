/*
 * JSON in and out: the one place that knows json-c.
 *
 * Decoding is strict (unknown fields, wrong types and ranges are errors that name the field) and goes on
 * after an error, so that one answer lists all. Answers are plain: integers without exponent, absent values
 * left out, always an object.
 */
#ifndef PKTCAPD_SERVICE_CODEC_H
#define PKTCAPD_SERVICE_CODEC_H

#include "core/error.h"
#include "core/session.h"
#include "service/forecast.h"
#include "service/operations.h"

/* Decodes a PacketCaptureRequest of length bytes. Fields in error are left absent. */
void codec_decode_request(const char *body, size_t length, struct packet_capture_request *request,
                          struct errors *errors);

struct file_list;

/* How a session is shown. */
struct session_view {
    const char *data_dir;          /* what filelocation starts with */
    const struct file_list *files; /* of one session that is a ring, or NULL */
    bool policy; /* in the words of the policy API, which has SEGMENTPORT where the other has LOGICALPORT */
};

/* The files of a ring, to be shown with one session. */
struct file_list *codec_files_open(void);
void codec_files_add(void *files, const struct run_file *file); /* a file_visitor */
void codec_files_close(struct file_list *files);

/* All encoders return a string that the caller frees, NULL if memory is out. */
char *codec_encode_session(const struct session *session, const struct session_view *view);

/* The answer to a dry run. */
char *codec_encode_forecast(const struct forecast *forecast, const struct session_view *view);

/* ApiError: the first error as the error, each as a related_error. http_status is the status line's text, for
 * example "BAD_REQUEST". */
char *codec_encode_errors(const struct errors *errors, const char *http_status);

/* A PacketCaptureSessionList, filled session by session. */
struct session_list;
struct session_list *codec_list_open(const struct session_view *view);
void codec_list_add(void *list, const struct session *session);    /* a session_visitor */
void codec_list_add_file(void *list, const struct run_file *file); /* a file of the session added last */
char *codec_list_close(struct session_list *list, int64_t total, const char *cursor, const char *sort_by,
                       bool sort_ascending);
void codec_list_abandon(struct session_list *list);

/* The list of capture points; the functions between open and close are those of a struct point_visitor.
 * abilities may be NULL: nobody could tell. */
struct points_list;
struct points_list *codec_points_open(void);
void codec_points_add(void *list, const struct point_details *details);
void codec_points_add_netns(void *list, const char *name, const char *missing);
char *codec_points_close(struct points_list *list, const struct broker_abilities *abilities);
void codec_points_abandon(struct points_list *list);

#endif
