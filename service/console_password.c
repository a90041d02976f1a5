/* New passwords, as people type them. */
#include "auth/secrets.h"
#include "service/console_parts.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

/* Reads one line, without its end; false if there is none. A NUL must not hide the rest of it, and becomes
 * another control character, which no password may hold. What is too long is cut, and still too long. */
static bool line_read(char out[CONSOLE_PASSWORD_SIZE])
{
    size_t length = 0;
    char c = '\0';
    ssize_t got;

    while ((got = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n')
        if (length + 1 < CONSOLE_PASSWORD_SIZE)
            out[length++] = c == '\0' ? '\001' : c;
    out[length] = '\0';
    return got == 1 || length > 0;
}

/* Waits for a line on the terminal; false: a signal came first. */
static bool line_awaited(int signal_fd)
{
    struct pollfd ready[] = {{.fd = signal_fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};

    while (poll(ready, 2, -1) < 0 && errno == EINTR)
        ;
    return ready[0].revents == 0;
}

static bool prompt(const char *text, int signal_fd, char out[CONSOLE_PASSWORD_SIZE])
{
    fputs(text, stderr);
    bool read = line_awaited(signal_fd) && line_read(out);
    fputc('\n', stderr); /* the one that was typed did not show */
    return read;
}

/* With the echo off; whatever ends it, the echo is on again before anything else happens: signals wait. */
static bool terminal_read(char first[CONSOLE_PASSWORD_SIZE], char second[CONSOLE_PASSWORD_SIZE])
{
    static const int ENDING[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    struct termios before, quiet;
    sigset_t ending, mask;

    sigemptyset(&ending);
    for (size_t i = 0; i < sizeof ENDING / sizeof ENDING[0]; i++)
        sigaddset(&ending, ENDING[i]);
    sigprocmask(SIG_BLOCK, &ending, &mask);
    int signal_fd = signalfd(-1, &ending, SFD_CLOEXEC);
    tcgetattr(STDIN_FILENO, &before);
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    bool read = prompt("New password: ", signal_fd, first) && prompt("Once more: ", signal_fd, second);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    if (signal_fd >= 0)
        close(signal_fd);
    sigprocmask(SIG_SETMASK, &mask, NULL); /* one that waits takes effect here */
    return read;
}

enum status console_ask_password(char password[CONSOLE_PASSWORD_SIZE], struct errors *errors)
{
    char again[CONSOLE_PASSWORD_SIZE] = "";
    struct error error = {0};
    bool read =
        isatty(STDIN_FILENO) ? terminal_read(password, again) : line_read(password) && line_read(again);

    if (!read)
        error_set(&error, ERROR_MISSING_FIELD, "password",
                  "the password is missing: it is asked for twice, or read from two lines of standard input; "
                  "nothing was changed");
    else if (strcmp(password, again) != 0)
        error_set(&error, ERROR_BAD_VALUE, "password", "the two passwords differ; nothing was changed");
    secret_forget(again, sizeof again);
    return error.status == STATUS_OK ? STATUS_OK : errors_add_error(errors, &error);
}
