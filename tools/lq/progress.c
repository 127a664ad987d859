/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/progress.c - one line on a terminal, and cancelling by signal
 */
#include "lq.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define REDRAW_SECONDS 0.1

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

/* A second signal of the same kind ends the program at once. */
void progress_signals(void)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action, old;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART | SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
}

int progress_cancelled(void)
{
    return stop != 0;
}

double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void progress_begin(progress *p, int quiet)
{
    const char *term = getenv("TERM");

    memset(p, 0, sizeof *p);
    p->shown = !quiet && isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
    p->start = seconds_now();
}

static int terminal_columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

static void eta(char *out, size_t capacity, double seconds)
{
    if (!(seconds < 100 * 3600.0))
        snprintf(out, capacity, "--:--");
    else if (seconds >= 3600)
        snprintf(out, capacity, "%d:%02d:%02d", (int)seconds / 3600,
                 (int)seconds / 60 % 60, (int)seconds % 60);
    else
        snprintf(out, capacity, "%d:%02d", (int)seconds / 60, (int)seconds % 60);
}

/* "\r 42% 1:07 left  name", cut to the terminal, the rest of the old line blanked. */
static void draw(progress *p, double share, double elapsed, const char *what)
{
    char left[32];
    textbuf line = { 0 }, shown = { 0 };
    int columns = terminal_columns() - 1, used = 0;

    eta(left, sizeof left, share > 0 ? elapsed * (1 - share) / share : 1e9);
    text_printf(&line, "%3d%%  %s left  ", (int)(share * 100), left);
    text_escaped(&line, what, strlen(what));
    for (size_t i = 0, n; !line.failed && i < line.bytes && used < columns; i += n, used++) {
        utf8_next(line.data + i, line.bytes - i, &n);
        text_put(&shown, line.data + i, n);
    }
    for (int i = used; i < p->drawn && i < columns; i++)
        text_add(&shown, " ");
    if (shown.data)
        fprintf(stderr, "\r%s", shown.data);
    p->drawn = used;
    text_free(&line);
    text_free(&shown);
}

static int on_progress(void *user, uint64_t done, uint64_t total, const char *what)
{
    progress *p = user;

    if (p->shown) {
        double now = seconds_now();
        if (now - p->last >= REDRAW_SECONDS) {
            double share = total ? (double)done / (double)total : 0;
            p->last = now;
            draw(p, share > 1 ? 1 : share, now - p->start, what);
        }
    }
    return progress_cancelled();
}

lq_progress progress_callback(progress *p)
{
    lq_progress callback = { on_progress, p };
    return callback;
}

void progress_clear(progress *p)
{
    if (p->drawn)
        fprintf(stderr, "\r%*s\r", p->drawn, "");
    p->drawn = 0;
}
