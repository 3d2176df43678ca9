/* A load generator that reads every answer to its end and says what is wrong with it: one thread, one epoll.
 *
 *   load --port P --path /v1/chat/completions --body FILE --check sse --tokens 200 [options]
 *
 *   --check     sse: events of OpenAI's stream; ndjson: lines of Ollama's; whole: one JSON answer of either; bytes: anything
 *   --tokens    how many tokens an answer must have, in order, each once (their text carries #index@microseconds#)
 *   --logprobs  every token must also stand in the log probabilities (1)
 *   --dots      how many "." the body must have (bytes only: one for each number of an embedding; -1: any)
 *   --min-bytes the least length of a body
 *   --concurrency, --seconds, --requests     closed loop: each connection sends the next request after an answer,
 *                                          until the time is over or the number reached, whichever comes first
 *   --key       what the Authorization header says
 *   --ramp      seconds over which the connections start
 *   --cap       seconds after which everything that has not ended counts as hung
 *
 * The result is one JSON object on stdout. The exit status is 0 even if answers were bad: they are counted, not hidden.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum check { SSE, NDJSON, WHOLE, BYTES };
enum state { WAITING, SENDING, HEAD, BODY };
enum framing { LENGTH, CHUNKED, UNTIL_CLOSE };
enum chunk { SIZE, DATA, DATA_END, TRAILER };
enum { RECV = 256 << 10, MAX_TEXT = 64 << 20, BACKOFF_NS = 20000000, MAX_FAILURES = 20000 };

/* What can be wrong with an answer, in the order in which the result lists it. */
enum fault { OK, CONNECT, CLOSED, STATUS, ERROR, BAD_JSON, ORDER, SHORT, LOGPROBS, NO_FINISH, NO_END, AFTER_END, SIZE_WRONG, HUNG, FAULTS };
static const char *const fault_names[FAULTS] = {"ok", "connect", "closed", "status", "error", "bad_json", "order", "short",
    "logprobs", "no_finish", "no_end", "after_end", "size", "hung"};

struct bytes { char *at; size_t len, cap; };
struct conn {
    int fd, reused, retried;
    enum state state;
    int64_t due_ns, start_ns;
    size_t sent;
    struct bytes text;  /* the head, then the unfinished line or the whole body */
    int status, close_after, got_bytes;
    enum framing framing;
    enum chunk chunk;
    size_t left;
    int size_digits, trailer_len;
    /* what has been seen of this answer */
    enum fault fault;
    int next, next_logprob, finishes, ends;
    size_t dots, body_bytes;
};

static struct { int port, concurrency, tokens, logprobs; long requests, dots, min_bytes; double seconds, ramp, cap; enum check check; const char *path, *body, *key; } opt =
    {.concurrency = 1, .dots = -1, .cap = 60, .path = "/", .key = "bench", .check = BYTES, .tokens = -1};
static struct bytes request;
static int epfd;
static int64_t began, now_ns, last_end_ns;
static long issued, open_requests, ok, comments, reconnects, tokens, total_bytes, faults[FAULTS];
static char first_fault[400];

static int64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static void append(struct bytes *b, const char *s, size_t n) {
    if (b->len + n > b->cap) { b->cap = (b->len + n) * 2; if (!(b->at = realloc(b->at, b->cap))) { perror("realloc"); exit(1); } }
    memcpy(b->at + b->len, s, n);
    b->len += n;
}

/* ---- times: buckets of less than 1 % width ---- */

struct times { long count[64 * 128], n; int64_t max; };
static struct times latencies, firsts, token_delays;

static void add_time(struct times *t, int64_t ns) {
    if (ns < 0) ns = 0;
    if (ns > t->max) t->max = ns;
    int shift = ns < 256 ? 0 : 63 - __builtin_clzll(ns) - 7;
    t->count[shift * 128 + (ns >> shift)]++;  /* ns >> shift is below 256: the two halves of neighbouring rows never meet */
    t->n++;
}
static double percentile_ms(const struct times *t, double p) {
    long want = (long)(p * (t->n - 1)) + 1, seen = 0;
    if (!t->n) return 0;
    for (int i = 0; i < 64 * 128; i++) {
        if ((seen += t->count[i]) < want) continue;
        int shift = i < 256 ? 0 : i / 128 - 1;
        return ((double)((int64_t)(i - shift * 128) << shift) + (double)(1LL << shift) / 2) / 1e6;
    }
    return t->max / 1e6;
}

/* ---- what an answer says ---- */

static void blame(struct conn *c, enum fault fault, const char *text, size_t len) {
    if (c->fault) return;
    c->fault = fault;
    if (first_fault[0]) return;
    int n = snprintf(first_fault, sizeof first_fault, "%s at token %d: ", fault_names[fault], c->next);
    for (size_t i = 0; i < len && n < (int)sizeof first_fault - 2; i++)
        first_fault[n++] = text[i] == '"' || text[i] == '\\' ? '\'' : text[i] < 32 || text[i] > 126 ? ' ' : text[i];
    first_fault[n] = 0;
}
/* Reads the #index@microseconds# marks of one string; `times` says whether they count as tokens or as log probabilities. */
static void read_marks(struct conn *c, const char *p, const char *end, int *next, int is_token) {
    while ((p = memchr(p, '#', end - p))) {
        const char *from = p++;
        int64_t index = 0, stamp = 0;
        const char *digits = p;
        while (p < end && *p >= '0' && *p <= '9') index = index * 10 + *p++ - '0';
        if (p == digits || p == end || *p++ != '@') continue;
        while (p < end && *p >= '0' && *p <= '9') stamp = stamp * 10 + *p++ - '0';
        if (p == end || *p++ != '#') { blame(c, ORDER, from, end - from); return; }
        if (index != *next) { blame(c, is_token ? ORDER : LOGPROBS, from, end - from); return; }
        ++*next;
        if (!is_token) continue;
        tokens++;
        if (index == 0) add_time(&firsts, now_ns - c->start_ns);
        if (opt.check != WHOLE) add_time(&token_delays, now_ns - stamp * 1000);
    }
}
static const char *string_end(const char *p, const char *end) {  /* p behind the opening quote; returns the closing one */
    while (p < end && (p = memchr(p, '"', end - p))) {
        const char *back = p;
        while (back[-1] == '\\') back--;
        if ((p - back) % 2 == 0) return p;
        p++;
    }
    return NULL;
}
static int named(const char *key, size_t len, const char *name) { return strlen(name) == len && !memcmp(key, name, len); }

struct span { const char *at, *end; };
struct texts { struct span thinking, mirror, content; };

/* Reads the texts of one message in the order in which they were said: thinking, then content. A second name for the
 * same thinking must say the same, and is not counted again. */
static void read_texts(struct conn *c, struct texts *t) {
    if (t->thinking.at && t->mirror.at) {
        size_t len = t->thinking.end - t->thinking.at;
        if ((size_t)(t->mirror.end - t->mirror.at) != len || memcmp(t->mirror.at, t->thinking.at, len)) blame(c, ORDER, t->mirror.at, len);
    }
    struct span thinking = t->thinking.at ? t->thinking : t->mirror;
    if (thinking.at) read_marks(c, thinking.at, thinking.end, &c->next, 1);
    if (t->content.at) read_marks(c, t->content.at, t->content.end, &c->next, 1);
    memset(t, 0, sizeof *t);
}

/* Walks one JSON text once: brackets must match; known keys are read wherever they stand. Returns whether it says "done". */
static int walk(struct conn *c, const char *p, const char *end) {
    char stack[128]; int depth = 0;
    const char *text = p, *key = NULL; size_t key_len = 0;
    struct texts texts = {0};
    int done = 0;
    while (p < end) {
        char ch = *p++;
        if (ch == '"') {
            const char *close = string_end(p, end);
            if (!close) goto bad;
            const char *after = close + 1;
            while (after < end && *after == ' ') after++;
            if (after < end && *after == ':' && depth && stack[depth - 1] == '{' && !key) {
                key = p; key_len = close - p; p = after + 1;
                while (p < end && *p == ' ') p++;
                if (named(key, key_len, "done") && end - p > 4 && !memcmp(p, "true", 4)) done = 1;
                if (named(key, key_len, "error") && p < end && *p != 'n') blame(c, ERROR, text, end - text);
                if (p < end && *p != '"') key = NULL;
                continue;
            }
            if (key) {
                struct span s = {p, close};
                if (named(key, key_len, "content") || named(key, key_len, "response")) texts.content = s;
                else if (named(key, key_len, "text") || named(key, key_len, "arguments")) {
                    read_texts(c, &texts);
                    read_marks(c, s.at, s.end, &c->next, 1);
                }
                else if (named(key, key_len, "thinking") || named(key, key_len, "reasoning")) texts.thinking = s;
                else if (named(key, key_len, "reasoning_content")) texts.mirror = s;
                else if (named(key, key_len, "finish_reason") || named(key, key_len, "done_reason")) c->finishes++;
                else if (opt.logprobs && named(key, key_len, "token")) read_marks(c, s.at, s.end, &c->next_logprob, 0);
                key = NULL;
            }
            p = close + 1;
            continue;
        }
        if (ch == '{' || ch == '[') { if (depth == sizeof stack) goto bad; stack[depth++] = ch; }
        else if (ch == '}' || ch == ']') {
            if (!depth || stack[--depth] != (ch == '}' ? '{' : '[')) goto bad;
            if (!depth) break;
        }
    }
    read_texts(c, &texts);
    while (p < end && strchr(" \r\n\t", *p)) p++;
    if (!depth && p == end && end > text) return done;
bad:
    blame(c, BAD_JSON, text, end - text);
    return 0;
}
static void on_line(struct conn *c, const char *p, const char *end) {
    if (end > p && end[-1] == '\r') end--;
    if (p == end) return;
    if (opt.check == SSE) {
        if (*p == ':') { comments++; return; }
        if (end - p < 5 || memcmp(p, "data:", 5)) return;
        p += 5;
        if (p < end && *p == ' ') p++;
    }
    if (c->ends) { blame(c, AFTER_END, p, end - p); return; }
    if (opt.check == SSE && end - p == 6 && !memcmp(p, "[DONE]", 6)) {
        if (!c->finishes) blame(c, NO_FINISH, p, end - p);
        c->ends++;
        return;
    }
    int done = walk(c, p, end);
    if (opt.check == NDJSON && done) c->ends++;
}
static void on_body(struct conn *c, const char *p, size_t n) {
    const char *end = p + n;
    c->body_bytes += n;
    total_bytes += n;
    if (c->status != 200) {  /* keep the start of it for the report */
        if (c->text.len < 300) append(&c->text, p, n < 300 ? n : 300);
        return;
    }
    if (opt.check == BYTES) {
        for (const char *q = p; q < end;) {  /* in blocks that a byte can count, which the compiler turns into vectors */
            const char *stop = end - q > 255 ? q + 255 : end;
            unsigned char dots = 0;
            for (; q < stop; q++) dots += *q == '.';
            c->dots += dots;
        }
        return;
    }
    if (opt.check == WHOLE) { if (c->text.len + n < MAX_TEXT) append(&c->text, p, n); return; }
    for (const char *nl; p < end && (nl = memchr(p, '\n', end - p)); p = nl + 1) {
        if (c->text.len) {
            append(&c->text, p, nl - p);
            on_line(c, c->text.at, c->text.at + c->text.len);
            c->text.len = 0;
        } else on_line(c, p, nl);
    }
    if (p < end && c->text.len < MAX_TEXT) append(&c->text, p, end - p);
}

/* ---- one request after another ---- */

static void connect_and_send(struct conn *c);

static void close_conn(struct conn *c) { if (c->fd >= 0) close(c->fd); c->fd = -1; c->reused = 0; }

static void watch(struct conn *c, uint32_t events, int op) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    epoll_ctl(epfd, op, c->fd, &e);
}
static void send_more(struct conn *c) {
    while (c->sent < request.len) {
        ssize_t n = send(c->fd, request.at + c->sent, request.len - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN) { watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD); return; }
            return;  /* the answer, or the end of it, says more than EPIPE */
        }
        c->sent += n;
    }
    c->state = HEAD;
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
}
static int more_wanted(void) {
    if (faults[OK] > MAX_FAILURES) return 0;
    if (opt.requests && issued >= opt.requests) return 0;
    return opt.seconds <= 0 || now_ns - began < (int64_t)(opt.seconds * 1e9);
}
static void issue(struct conn *c) {
    if (!more_wanted()) { c->state = WAITING; c->due_ns = INT64_MAX; close_conn(c); return; }
    issued++; open_requests++;
    c->retried = 0;
    c->start_ns = now_ns = clock_ns();
    connect_and_send(c);
}
/* Books the answer and goes on to the next request. */
static void end_request(struct conn *c) {
    if (!c->fault && c->status != 200) {
        char text[340]; int n = snprintf(text, sizeof text, "%d %.*s", c->status, (int)(c->text.len < 300 ? c->text.len : 300), c->text.at ? c->text.at : "");
        blame(c, STATUS, text, n);
    }
    if (!c->fault && opt.check == BYTES) {
        if ((long)c->body_bytes < opt.min_bytes || (opt.dots >= 0 && (long)c->dots != opt.dots)) blame(c, SIZE_WRONG, "", 0);
    } else if (!c->fault) {
        if (opt.check == WHOLE) { walk(c, c->text.at, c->text.at + c->text.len); c->ends = 1; }
        else if (c->text.len) on_line(c, c->text.at, c->text.at + c->text.len);
        if (opt.tokens >= 0 && c->next != opt.tokens) blame(c, SHORT, "", 0);
        else if (opt.logprobs && c->next_logprob != opt.tokens) blame(c, LOGPROBS, "", 0);
        else if (c->finishes != 1) blame(c, NO_FINISH, "", 0);
        else if (c->ends != 1) blame(c, NO_END, "", 0);
    }
    last_end_ns = now_ns;
    open_requests--;
    int failed = c->fault != OK;
    if (failed) { faults[c->fault]++; faults[OK]++; }
    else { ok++; add_time(&latencies, now_ns - c->start_ns); }
    if (failed || c->close_after || c->framing == UNTIL_CLOSE) close_conn(c); else c->reused = 1;
    c->state = WAITING;
    c->due_ns = failed ? now_ns + BACKOFF_NS : now_ns;
    if (!failed) issue(c);
}
static void fail(struct conn *c, enum fault fault, const char *text) { blame(c, fault, text, strlen(text)); end_request(c); }

static void connect_and_send(struct conn *c) {
    c->state = SENDING;
    c->sent = c->text.len = c->dots = c->body_bytes = 0;
    c->status = c->close_after = c->got_bytes = c->next = c->next_logprob = c->finishes = c->ends = 0;
    c->fault = OK;
    c->framing = LENGTH;
    if (c->fd < 0) {
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int on = 1;
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(opt.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        if (c->fd < 0 || (connect(c->fd, (void *)&a, sizeof a) && errno != EINPROGRESS)) { fail(c, CONNECT, strerror(errno)); return; }
        watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
        return;  /* sent when the socket is writable */
    }
    send_more(c);
}
static void start_body(struct conn *c, const char *head, const char *end) {
    c->status = atoi(head + 9);
    c->framing = UNTIL_CLOSE;
    for (const char *p = head; (p = memchr(p, '\n', end - p)); p++) {
        if (!strncasecmp(p + 1, "content-length:", 15)) { c->framing = LENGTH; c->left = strtoul(p + 16, NULL, 10); }
        if (!strncasecmp(p + 1, "transfer-encoding: chunked", 26)) { c->framing = CHUNKED; c->chunk = SIZE; c->left = 0; c->size_digits = 0; }
        if (!strncasecmp(p + 1, "connection: close", 17)) c->close_after = 1;
    }
    c->state = BODY;
}
/* Takes body bytes; returns 1 when the body has ended, -1 when its framing is broken. */
static int dechunk(struct conn *c, const char *p, const char *end) {
    while (p < end) {
        if (c->chunk == DATA) {
            size_t n = (size_t)(end - p) < c->left ? (size_t)(end - p) : c->left;
            on_body(c, p, n);
            p += n;
            if (!(c->left -= n)) c->chunk = DATA_END;
            continue;
        }
        char ch = *p++;
        if (c->chunk == DATA_END) {
            if (ch == '\n') { c->chunk = SIZE; c->left = 0; c->size_digits = 0; }
            else if (ch != '\r') return -1;
        } else if (c->chunk == SIZE) {
            int v = ch >= '0' && ch <= '9' ? ch - '0' : (ch | 32) >= 'a' && (ch | 32) <= 'f' ? (ch | 32) - 'a' + 10 : -1;
            if (v >= 0) { c->left = c->left * 16 + v; if (++c->size_digits > 8) return -1; }
            else if (ch == '\n') { if (!c->size_digits) return -1; c->chunk = c->left ? DATA : TRAILER; c->trailer_len = 0; }
            else if (ch != '\r') return -1;
        } else if (ch == '\n') {
            if (!c->trailer_len) return p == end ? 1 : -1;
            c->trailer_len = 0;
        } else if (ch != '\r') c->trailer_len++;
    }
    return 0;
}
static void on_bytes(struct conn *c, const char *p, size_t n) {
    c->got_bytes = 1;
    const char *end = p + n;
    while (c->state == HEAD || c->state == SENDING) {
        append(&c->text, p, end - p);
        char *stop = memmem(c->text.at, c->text.len, "\r\n\r\n", 4);
        if (!stop) { if (c->text.len > 65536) fail(c, CLOSED, "endless head"); return; }
        size_t used = stop + 4 - c->text.at, before = c->text.len - (end - p);
        if (c->text.len < 12 || memcmp(c->text.at, "HTTP/1.", 7)) { fail(c, CLOSED, "not HTTP"); return; }
        start_body(c, c->text.at, stop);
        p += used - before;
        c->text.len = 0;
        if (c->status < 200) { c->state = HEAD; if (p == end) return; }
    }
    int ended = 0;
    if (c->framing == CHUNKED) ended = dechunk(c, p, end);
    else if (c->framing == LENGTH) {
        if ((size_t)(end - p) > c->left) ended = -1;
        else { on_body(c, p, end - p); ended = !(c->left -= end - p); }
    } else on_body(c, p, end - p);
    if (ended < 0) fail(c, CLOSED, "broken framing");
    else if (ended) end_request(c);
}
static void on_closed(struct conn *c, const char *why) {
    if (c->state == WAITING) { close_conn(c); return; }
    if (c->reused && !c->got_bytes && !c->retried) {  /* a kept connection may end at any time: not the answer's fault */
        c->retried = 1; reconnects++;
        close_conn(c);
        connect_and_send(c);
    } else if (c->state == BODY && c->framing == UNTIL_CLOSE) { c->close_after = 1; end_request(c); }
    else fail(c, c->got_bytes ? CLOSED : CONNECT, why);
}
static void on_event(struct conn *c, uint32_t events) {
    static char buffer[RECV];
    if (c->fd < 0) return;
    if ((events & EPOLLOUT) && c->state == SENDING) send_more(c);
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    now_ns = clock_ns();
    if (n > 0 && c->state == WAITING) { close_conn(c); return; }
    if (n > 0) on_bytes(c, buffer, n);
    else if (n == 0) on_closed(c, "end of file");
    else if (errno != EAGAIN && errno != EINTR) on_closed(c, strerror(errno));
}

static void times_json(const char *name, const struct times *t) {
    if (!t->n) { printf(",\"%s_p50_ms\":null,\"%s_p99_ms\":null,\"%s_max_ms\":null", name, name, name); return; }
    printf(",\"%s_p50_ms\":%.4f,\"%s_p99_ms\":%.4f,\"%s_max_ms\":%.4f", name, percentile_ms(t, .5), name, percentile_ms(t, .99), name, t->max / 1e6);
}
static void report(void) {
    double seconds = last_end_ns > began ? (last_end_ns - began) / 1e9 : 1e-9;
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    printf("{\"requests\":%ld,\"ok\":%ld,\"failed\":%ld,\"seconds\":%.6f,\"rps\":%.3f,\"tokens\":%ld,\"tokens_per_s\":%.3f,\"bytes\":%ld,\"comments\":%ld,\"reconnects\":%ld,\"complete\":%.6f",
           issued, ok, faults[OK], seconds, ok / seconds, tokens, tokens / seconds, total_bytes, comments, reconnects, issued ? (double)ok / issued : 0);
    times_json("latency", &latencies);
    times_json("ttft", &firsts);
    times_json("token", &token_delays);
    printf(",\"load_cpu_s\":%.3f,\"faults\":{", own.ru_utime.tv_sec + own.ru_stime.tv_sec + (own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6);
    const char *comma = "";
    for (int i = 1; i < FAULTS; i++) if (faults[i]) { printf("%s\"%s\":%ld", comma, fault_names[i], faults[i]); comma = ","; }
    printf("},\"first_fault\":\"%s\"}\n", first_fault);
}
static void read_options(int argc, char **argv) {
    static const struct option names[] = {{"port", 1, 0, 'p'}, {"path", 1, 0, 'u'}, {"body", 1, 0, 'b'}, {"check", 1, 0, 'k'}, {"tokens", 1, 0, 't'},
        {"logprobs", 1, 0, 'l'}, {"dots", 1, 0, 'd'}, {"min-bytes", 1, 0, 'm'}, {"concurrency", 1, 0, 'c'}, {"seconds", 1, 0, 's'}, {"requests", 1, 0, 'n'},
        {"key", 1, 0, 'a'}, {"ramp", 1, 0, 'r'}, {"cap", 1, 0, 'x'}, {0, 0, 0, 0}};
    for (int o; (o = getopt_long(argc, argv, "", names, NULL)) != -1;) switch (o) {
        case 'p': opt.port = atoi(optarg); break;
        case 'u': opt.path = optarg; break;
        case 'b': opt.body = optarg; break;
        case 'k': opt.check = !strcmp(optarg, "sse") ? SSE : !strcmp(optarg, "ndjson") ? NDJSON : !strcmp(optarg, "whole") ? WHOLE : BYTES; break;
        case 't': opt.tokens = atoi(optarg); break;
        case 'l': opt.logprobs = atoi(optarg); break;
        case 'd': opt.dots = atol(optarg); break;
        case 'm': opt.min_bytes = atol(optarg); break;
        case 'c': opt.concurrency = atoi(optarg); break;
        case 's': opt.seconds = atof(optarg); break;
        case 'n': opt.requests = atol(optarg); break;
        case 'a': opt.key = optarg; break;
        case 'r': opt.ramp = atof(optarg); break;
        case 'x': opt.cap = atof(optarg); break;
        default: exit(2);
    }
    if (!opt.port || opt.concurrency < 1 || (!opt.requests && opt.seconds <= 0)) { fprintf(stderr, "--port and --requests or --seconds are needed\n"); exit(2); }
}
static void make_request(void) {
    struct bytes body = {0};
    char piece[65536], head[1024];
    FILE *f = opt.body ? fopen(opt.body, "rb") : NULL;
    if (opt.body && !f) { perror(opt.body); exit(2); }
    for (size_t n; f && (n = fread(piece, 1, sizeof piece, f));) append(&body, piece, n);
    if (f) fclose(f);
    int n = f ? snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: bench\r\nAccept: */*\r\n"
                         "Authorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", opt.path, opt.port, opt.key, body.len)
              : snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", opt.path, opt.port);
    append(&request, head, n);
    if (body.len) append(&request, body.at, body.len);
    free(body.at);
}

int main(int argc, char **argv) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    read_options(argc, argv);
    make_request();
    epfd = epoll_create1(EPOLL_CLOEXEC);
    struct conn *conns = calloc(opt.concurrency, sizeof *conns);
    began = last_end_ns = now_ns = clock_ns();
    for (int i = 0; i < opt.concurrency; i++) {
        conns[i].fd = -1;
        conns[i].due_ns = began + (int64_t)(opt.ramp * 1e9 * i / opt.concurrency);
    }
    for (;;) {
        now_ns = clock_ns();
        int64_t next_due = INT64_MAX;
        for (int i = 0; i < opt.concurrency; i++) {
            struct conn *c = &conns[i];
            if (c->state == WAITING && c->due_ns <= now_ns) issue(c);
            if (c->state == WAITING && c->due_ns < next_due) next_due = c->due_ns;
        }
        if (!open_requests && (next_due == INT64_MAX || !more_wanted())) break;
        int64_t end = began + (int64_t)(opt.cap * 1e9), until = next_due < end ? next_due : end;
        if (now_ns >= end) break;
        /* between two deadlines events are served without looking through all connections again */
        while ((now_ns = clock_ns()) < until && open_requests) {
            struct epoll_event events[512];
            int n = epoll_wait(epfd, events, 512, (int)((until - now_ns + 999999) / 1000000));
            if (n < 0 && errno != EINTR) { perror("epoll_wait"); return 1; }
            long failed = faults[OK];
            for (int i = 0; i < n; i++) on_event(events[i].data.ptr, events[i].events);
            if (faults[OK] != failed) break;  /* a failure set a new deadline */
        }
        if (!open_requests && next_due != INT64_MAX && more_wanted()) {
            struct timespec t = {0, next_due > now_ns ? (next_due - now_ns) % 1000000000 : 0};
            nanosleep(&t, NULL);
        }
    }
    now_ns = clock_ns();
    if (open_requests) { faults[HUNG] += open_requests; faults[OK] += open_requests; last_end_ns = now_ns; }
    report();
    return 0;
}
