/* A fake Ollama for measurements: one thread, one epoll, no model.
 *
 *   fake_ollama [PORT]      listens on 127.0.0.1, prints the port, runs until killed or until its parent dies
 *
 * It speaks as much of Ollama's native API as a proxy needs: /api/chat, /api/generate, /api/embed, /api/tags,
 * /api/show, /api/ps, /api/version; HTTP/1.1 with keep-alive, one NDJSON line a chunk. GET /stats counts streams.
 *
 * The model's name sets the behaviour: letters with a number each, in any order, e.g. t200d20 or t64b32c4.
 *   t tokens   d ms between tokens   b lines a write   i ms before the first line
 *   h first tokens that are thinking   c last tokens that are tool calls   l alternatives in log probabilities
 *   eRxD embeddings of D numbers (as many as there are inputs; R only says how many that is meant to be)
 * Every token's text is " w#index@microseconds#" with the monotonic clock at the moment it was written, so that whoever
 * reads it on the same machine can tell order, loss and delay, whatever has been put around it meanwhile.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_BODY = 256 << 20, MAX_HEAD = 64 << 10, MAX_NAME = 64, WRITES_A_TURN = 8, SMALL_BODY = 2048 };

struct model { int tokens, delay, batch, before, thoughts, calls, logprobs, rows, dims; };
struct bytes { char *at; size_t len, cap; };
struct answer { int next; int64_t start_us; int chat, streaming, head_sent; };

struct conn {
    int fd, heap_at, busy, blocked, closing;
    struct bytes in, out;
    size_t out_sent, head_len, body_len;
    const char *shared; size_t shared_len, shared_sent;  /* a cached embedding body */
    char name[MAX_NAME + 1];
    struct model model;
    struct answer answer;
    int64_t due_us;
    struct conn *next_ready; int ready;
};

static int epfd, timer_fd;
static long active, aborted, finished, requests, connections;

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* ---- bytes ---- */

static char *room(struct bytes *b, size_t more) {
    if (b->len + more > b->cap) {
        b->cap = (b->len + more) * 2;
        if (!(b->at = realloc(b->at, b->cap))) { perror("realloc"); exit(1); }
    }
    return b->at + b->len;
}
static void put(struct bytes *b, const char *s, size_t n) { memcpy(room(b, n), s, n); b->len += n; }
static void puts_(struct bytes *b, const char *s) { put(b, s, strlen(s)); }
static void put_int(struct bytes *b, int64_t v) {
    char digits[24]; int i = sizeof digits;
    do digits[--i] = '0' + v % 10; while (v /= 10);
    put(b, digits + i, sizeof digits - i);
}
static void put_hex(struct bytes *b, size_t v) {
    char digits[20]; int i = sizeof digits;
    do digits[--i] = "0123456789abcdef"[v & 15]; while (v >>= 4);
    put(b, digits + i, sizeof digits - i);
}
/* RFC 3339 with nanoseconds; the part up to the second is rendered once a second. */
static void put_time(struct bytes *b) {
    static time_t second; static char text[32];
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (t.tv_sec != second) { struct tm tm; second = t.tv_sec; gmtime_r(&second, &tm); strftime(text, sizeof text, "%FT%T.", &tm); }
    put(b, text, 20);
    char digits[10]; long v = t.tv_nsec;
    for (int i = 8; i >= 0; i--, v /= 10) digits[i] = '0' + v % 10;
    digits[9] = 'Z';
    put(b, digits, 10);
}

/* ---- the request ---- */

static int parse_model(const char *name, struct model *m) {
    memset(m, 0, sizeof *m);
    m->tokens = 16; m->batch = 1;
    const char *p = name;
    if (!*p) return 0;
    while (*p && strcmp(p, ":latest")) {
        char letter = *p++, *end;
        if (*p < '0' || *p > '9') return 0;
        long v = strtol(p, &end, 10);
        if (v > 1000000) return 0;
        p = end;
        switch (letter) {
        case 't': m->tokens = v; break;
        case 'd': m->delay = v; break;
        case 'b': m->batch = v ? v : 1; break;
        case 'i': m->before = v; break;
        case 'h': m->thoughts = v; break;
        case 'c': m->calls = v; break;
        case 'l': m->logprobs = v; break;
        case 'e': {
            if (*p++ != 'x') return 0;
            long dims = strtol(p, &end, 10);
            if (end == p || dims < 1 || dims > 8192 || v > 4096) return 0;
            p = end; m->rows = v; m->dims = dims;
            break;
        }
        default: return 0;
        }
    }
    return 1;
}

/* `p` stands behind an opening quote; returns what follows the closing one. */
static const char *skip_string(const char *p, const char *end) {
    while ((p = memchr(p, '"', end - p))) {
        const char *back = p;
        while (back[-1] == '\\') back--;
        p++;
        if ((p - 1 - back) % 2 == 0) return p;
    }
    return end;
}
static const char *skip_value(const char *p, const char *end) {
    for (int depth = 0; p < end;) {
        char c = *p;
        if (c == '"') { p = skip_string(p + 1, end); if (!depth) return p; continue; }
        if (c == '{' || c == '[') depth++;
        if ((c == '}' || c == ']') && --depth < 0) return p;
        if (!depth && (c == ',')) return p;
        p++;
        if (!depth && (c == '}' || c == ']')) return p;
    }
    return end;
}
static const char *space(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    return p;
}
static int count_items(const char *p, const char *end) {
    int items = 0;
    if (*p != '[') return 1;
    for (p = space(p + 1, end); p < end && *p != ']'; p = space(p, end)) {
        p = space(skip_value(p, end), end);
        items++;
        if (p < end && *p == ',') p++;
    }
    return items;
}
/* Reads `model`, `stream` and the number of `input`s of the outermost object, wherever they stand in it. */
static void read_request(const char *p, const char *end, char *name, int *stream, int *inputs) {
    p = space(p, end);
    if (p >= end || *p++ != '{') return;
    while ((p = space(p, end)) < end && *p == '"') {
        const char *key = p + 1, *after = skip_string(key, end);
        size_t key_len = after - 1 - key;
        p = space(after, end);
        if (p >= end || *p++ != ':') return;
        const char *value = space(p, end);
        p = skip_value(value, end);
        if (key_len == 5 && !memcmp(key, "model", 5) && *value == '"' && p - value - 2 <= MAX_NAME) {
            memcpy(name, value + 1, p - value - 2);
            name[p - value - 2] = 0;
        }
        if (key_len == 5 && !memcmp(key, "input", 5)) *inputs = count_items(value, p);
        if (key_len == 6 && !memcmp(key, "stream", 6)) *stream = strncmp(value, "false", 5) != 0;
        p = space(p, end);
        if (p < end && *p == ',') p++;
    }
}

/* ---- the lines ---- */

static void put_token(struct bytes *b, int index) {
    put(b, " w#", 3); put_int(b, index); put(b, "@", 1); put_int(b, now_us()); put(b, "#", 1);
}
static void put_logprobs(struct bytes *b, const char *text, size_t len, int alternatives) {
    puts_(b, "{\"token\":\""); put(b, text, len);
    puts_(b, "\",\"logprob\":-0.2337409406900406,\"bytes\":[");
    for (size_t i = 0; i < len; i++) { if (i) put(b, ",", 1); put_int(b, text[i]); }
    puts_(b, "],\"top_logprobs\":[");
    for (int i = 0; i < alternatives; i++) {
        puts_(b, i ? ",{\"token\":\"Hello\",\"logprob\":-" : "{\"token\":\"Hello\",\"logprob\":-");
        put_int(b, i + 1);
        puts_(b, ".93353009223938,\"bytes\":[72,101,108,108,111]}");
    }
    puts_(b, "]}");
}
static void put_call(struct bytes *b, int index, int first) {
    puts_(b, "{\"id\":\"call_bench"); put_int(b, index);
    puts_(b, "\",\"function\":{\"index\":"); put_int(b, index - first);
    puts_(b, ",\"name\":\"write_note\",\"arguments\":{\"text\":\""); put_token(b, index);
    puts_(b, "\",\"page\":"); put_int(b, index); puts_(b, "}}}");
}
static void put_head(struct bytes *b, struct conn *c) {
    puts_(b, "{\"model\":\""); puts_(b, c->name); puts_(b, "\",\"created_at\":\""); put_time(b);
    puts_(b, c->answer.chat ? "\",\"message\":{\"role\":\"assistant\",\"content\":\"" : "\",\"response\":\"");
}
static void put_done(struct bytes *b, struct conn *c) {
    int64_t ns = (now_us() - c->answer.start_us) * 1000 + 1;
    puts_(b, ",\"done\":true,\"done_reason\":\"stop\",\"total_duration\":"); put_int(b, ns);
    puts_(b, ",\"load_duration\":2002546,\"prompt_eval_count\":26,\"prompt_eval_duration\":130079000,\"eval_count\":");
    put_int(b, c->model.tokens); puts_(b, ",\"eval_duration\":"); put_int(b, ns); puts_(b, "}");
}
/* Renders line `i` of a stream; the line after the last token says done. */
static void put_line(struct bytes *b, struct conn *c, int i) {
    struct model *m = &c->model;
    const char *close = c->answer.chat ? "\"}" : "\"";
    put_head(b, c);
    if (i == m->tokens) { puts_(b, close); put_done(b, c); puts_(b, "\n"); return; }
    size_t from = 0, len = 0;
    if (i < m->thoughts) {
        puts_(b, "\",\"thinking\":\""); put_token(b, i); puts_(b, close);
    } else if (i >= m->tokens - m->calls) {
        puts_(b, "\",\"tool_calls\":["); put_call(b, i, m->tokens - m->calls); puts_(b, c->answer.chat ? "]}" : "]");
    } else {
        from = b->len; put_token(b, i); len = b->len - from; puts_(b, close);
    }
    puts_(b, ",\"done\":false");
    if (m->logprobs && len) {
        char text[64]; memcpy(text, b->at + from, len);
        puts_(b, ",\"logprobs\":["); put_logprobs(b, text, len, m->logprobs); puts_(b, "]");
    }
    puts_(b, "}\n");
}
static void put_whole(struct bytes *b, struct conn *c) {
    struct model *m = &c->model;
    put_head(b, c);
    int last = m->tokens - m->calls;
    struct bytes logprobs = {0};
    for (int i = m->thoughts; i < last; i++) {
        size_t from = b->len;
        put_token(b, i);
        if (!m->logprobs) continue;
        if (logprobs.len) puts_(&logprobs, ",");
        put_logprobs(&logprobs, b->at + from, b->len - from, m->logprobs);
    }
    puts_(b, "\"");
    if (m->thoughts) {
        puts_(b, ",\"thinking\":\"");
        for (int i = 0; i < m->thoughts; i++) put_token(b, i);
        puts_(b, "\"");
    }
    if (m->calls) {
        puts_(b, ",\"tool_calls\":[");
        for (int i = last; i < m->tokens; i++) { if (i > last) puts_(b, ","); put_call(b, i, last); }
        puts_(b, "]");
    }
    if (c->answer.chat) puts_(b, "}");
    if (m->logprobs) { puts_(b, ",\"logprobs\":["); put(b, logprobs.at, logprobs.len); puts_(b, "]"); }
    free(logprobs.at);
    put_done(b, c);
}

/* Rendered once for each shape and kept: 2048 x 1024 is 27 MB of text. */
static struct bytes *embedding(const struct model *m, const char *name) {
    static struct { int rows, dims; struct bytes body; } kept[8];
    static int used;
    for (int i = 0; i < used; i++) if (kept[i].rows == m->rows && kept[i].dims == m->dims) return &kept[i].body;
    int slot = used < 8 ? used++ : 7;
    struct bytes *b = &kept[slot].body;
    kept[slot].rows = m->rows; kept[slot].dims = m->dims; b->len = 0;
    uint32_t seed = 1;
    puts_(b, "{\"model\":\""); puts_(b, name); puts_(b, "\",\"embeddings\":[");
    for (int r = 0; r < m->rows; r++) {
        puts_(b, r ? ",[" : "[");
        for (int d = 0; d < m->dims; d++) {
            if (d) put(b, ",", 1);
            seed = seed * 1664525 + 1013904223;
            if (seed >> 22 == 7) { puts_(b, "-1.570544e-8"); continue; }
            char text[16];
            put(b, text, snprintf(text, sizeof text, "%s0.0%08u", seed & 256 ? "-" : "", 1000000 + (seed >> 8) % 90000000));
        }
        puts_(b, "]");
    }
    puts_(b, "],\"total_duration\":23159705,\"load_duration\":2152512,\"prompt_eval_count\":"); put_int(b, 4L * m->rows);
    puts_(b, "}");
    return b;
}

/* ---- a heap of connections that wait for their time ---- */

static struct conn **heap; static int heap_len, heap_cap;

static void heap_set(int i, struct conn *c) { heap[i] = c; c->heap_at = i; }
static void heap_fix(int i) {
    struct conn *c = heap[i];
    while (i && heap[(i - 1) / 2]->due_us > c->due_us) { heap_set(i, heap[(i - 1) / 2]); i = (i - 1) / 2; }
    for (int k; (k = 2 * i + 1) < heap_len; i = k) {
        if (k + 1 < heap_len && heap[k + 1]->due_us < heap[k]->due_us) k++;
        if (heap[k]->due_us >= c->due_us) break;
        heap_set(i, heap[k]);
    }
    heap_set(i, c);
}
static void heap_remove(struct conn *c) {
    int i = c->heap_at;
    if (i < 0) return;
    c->heap_at = -1;
    struct conn *last = heap[--heap_len];
    if (last != c) { heap_set(i, last); heap_fix(i); }
}
static void wait_until(struct conn *c, int64_t due_us) {
    c->due_us = due_us;
    if (c->heap_at < 0) {
        if (heap_len == heap_cap && !(heap = realloc(heap, (heap_cap = heap_cap * 2 + 64) * sizeof *heap))) exit(1);
        heap_set(heap_len++, c);
    }
    heap_fix(c->heap_at);
}

/* ---- sending ---- */

static struct conn *ready_first, *ready_last;

static void make_ready(struct conn *c) {
    if (c->ready) return;
    c->ready = 1; c->next_ready = NULL;
    if (ready_last) ready_last->next_ready = c; else ready_first = c;
    ready_last = c;
}
static void watch(struct conn *c, int blocked) {
    if (c->blocked == blocked) return;
    c->blocked = blocked;
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | (blocked ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &e);
}
static int send_some(struct conn *c, const char *at, size_t len, size_t *sent) {
    while (*sent < len) {
        ssize_t n = send(c->fd, at + *sent, len - *sent, MSG_NOSIGNAL);
        if (n < 0) { if (errno == EINTR) continue; if (errno != EAGAIN) c->closing = 1; return 0; }
        *sent += n;
    }
    return 1;
}
/* Returns 1 when everything is out, 0 when the socket is full (it is watched then) or dead. */
static int flush(struct conn *c) {
    int all = send_some(c, c->out.at, c->out.len, &c->out_sent);
    if (all) { c->out.len = c->out_sent = 0; }
    if (all && c->shared) all = send_some(c, c->shared, c->shared_len, &c->shared_sent);
    if (all && c->shared) { c->shared = NULL; puts_(&c->out, "\r\n0\r\n\r\n"); return flush(c); }
    watch(c, !all);
    return all;
}
static void put_http(struct bytes *b, int status, const char *type) {
    static const char *const reasons[] = {[200] = "OK", [400] = "Bad Request", [404] = "Not Found", [501] = "Not Implemented"};
    puts_(b, "HTTP/1.1 "); put_int(b, status); puts_(b, " "); puts_(b, reasons[status]);
    puts_(b, "\r\nContent-Type: "); puts_(b, type);
    char date[64]; time_t t = time(NULL); struct tm tm; gmtime_r(&t, &tm);
    strftime(date, sizeof date, "\r\nDate: %a, %d %b %Y %T GMT\r\n", &tm); puts_(b, date);
}
/* Go's server announces the length of short bodies only; longer ones are one chunk. */
static void respond(struct conn *c, int status, const char *body, size_t len) {
    struct bytes *b = &c->out;
    put_http(b, status, "application/json; charset=utf-8");
    if (len <= SMALL_BODY) {
        puts_(b, "Content-Length: "); put_int(b, len); puts_(b, "\r\n\r\n"); put(b, body, len);
    } else {
        puts_(b, "Transfer-Encoding: chunked\r\n\r\n"); put_hex(b, len); puts_(b, "\r\n");
        put(b, body, len); puts_(b, "\r\n0\r\n\r\n");
    }
    flush(c);
}
static void respond_text(struct conn *c, int status, const char *body) { respond(c, status, body, strlen(body)); }

static void settle(struct conn *c) { c->busy = 0; active--; finished++; make_ready(c); }

/* Writes what is due of this connection's answer. */
static void advance(struct conn *c) {
    static struct bytes line;
    struct model *m = &c->model;
    if (!c->answer.streaming) {
        line.len = 0; put_whole(&line, c); respond(c, 200, line.at, line.len); settle(c);
        return;
    }
    for (int writes = 0; writes < WRITES_A_TURN; writes++) {
        struct bytes *b = &c->out;
        if (!c->answer.head_sent) {
            c->answer.head_sent = 1;
            put_http(b, 200, "application/x-ndjson"); puts_(b, "Transfer-Encoding: chunked\r\n\r\n");
        }
        for (int k = 0; k < m->batch && c->answer.next <= m->tokens; k++) {
            line.len = 0; put_line(&line, c, c->answer.next++);
            put_hex(b, line.len); puts_(b, "\r\n"); put(b, line.at, line.len); puts_(b, "\r\n");
        }
        int out = flush(c);
        if (c->closing) return;
        if (c->answer.next > m->tokens) { puts_(b, "0\r\n\r\n"); flush(c); settle(c); return; }
        if (m->delay) {  /* an absolute schedule: a late token does not delay the next one */
            int64_t step = (c->answer.next + m->batch - 1) / m->batch;
            wait_until(c, c->answer.start_us + (m->before + step * m->delay) * 1000LL);
            return;
        }
        if (!out) return;
    }
    make_ready(c);
}

static void start(struct conn *c, int chat, int stream) {
    c->busy = 1; active++;
    c->answer = (struct answer){.start_us = now_us(), .chat = chat, .streaming = stream};
    int64_t wait_ms = c->model.before + (stream ? 0 : (int64_t)c->model.tokens / c->model.batch * c->model.delay);
    if (wait_ms) wait_until(c, c->answer.start_us + wait_ms * 1000); else advance(c);
}

/* ---- the other endpoints ---- */

#define DETAILS "\"details\":{\"parent_model\":\"\",\"format\":\"gguf\",\"family\":\"bench\",\"families\":[\"bench\"]," \
                "\"parameter_size\":\"1B\",\"quantization_level\":\"Q4_K_M\"}"
#define DIGEST "\"digest\":\"00000000000000000000000000000000000000000000000000000000000bec40\""

static void list(struct conn *c, int loaded) {
    static const char *const names[] = {"t16b16", "t200d20", "t1000b32", "t40h20", "t40c8", "t40l2", "e256x768"};
    struct bytes b = {0};
    puts_(&b, "{\"models\":[");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        puts_(&b, i ? ",{\"name\":\"" : "{\"name\":\""); puts_(&b, names[i]); puts_(&b, ":latest\",\"model\":\""); puts_(&b, names[i]);
        puts_(&b, ":latest\",\"size\":815319791," DIGEST "," DETAILS ",");
        puts_(&b, loaded ? "\"expires_at\":\"2099-01-01T00:00:00Z\",\"size_vram\":0,\"context_length\":131072}"
                         : "\"modified_at\":\"2026-01-01T00:00:00Z\",\"capabilities\":[\"completion\"]}");
    }
    puts_(&b, "]}");
    respond(c, 200, b.at, b.len);
    free(b.at);
}
static void show(struct conn *c) {
    struct bytes b = {0};
    puts_(&b, "{\"modelfile\":\"FROM bench\",\"parameters\":\"\",\"template\":\"{{ .Prompt }}\",\"modified_at\":\"2026-01-01T00:00:00Z\"," DETAILS
              ",\"model_info\":{\"general.architecture\":\"bench\",\"bench.context_length\":131072,\"bench.embedding_length\":");
    put_int(&b, c->model.dims ? c->model.dims : 1024);
    puts_(&b, "},\"capabilities\":["); puts_(&b, c->model.rows ? "\"embedding\"" : "\"completion\",\"tools\",\"vision\",\"insert\"");
    if (c->model.thoughts) puts_(&b, ",\"thinking\"");
    puts_(&b, "]}");
    respond(c, 200, b.at, b.len);
    free(b.at);
}
static void stats(struct conn *c) {
    char text[200];
    snprintf(text, sizeof text, "{\"active\":%ld,\"aborted\":%ld,\"finished\":%ld,\"requests\":%ld,\"connections\":%ld}",
             active, aborted, finished, requests, connections);
    respond_text(c, 200, text);
}
static void embed(struct conn *c, int inputs) {
    if (!c->model.rows) { respond_text(c, 501, "{\"error\":\"This server does not support embeddings. Start it with `--embeddings`\"}"); return; }
    c->model.rows = inputs;
    struct bytes *body = embedding(&c->model, c->name);
    if (body->len <= SMALL_BODY) { respond(c, 200, body->at, body->len); return; }
    put_http(&c->out, 200, "application/json; charset=utf-8");
    puts_(&c->out, "Transfer-Encoding: chunked\r\n\r\n"); put_hex(&c->out, body->len); puts_(&c->out, "\r\n");
    c->shared = body->at; c->shared_len = body->len; c->shared_sent = 0;
    flush(c);
}
static int is(const char *path, const char *end, const char *want) {
    size_t n = strlen(want);
    return (size_t)(end - path) >= n && !memcmp(path, want, n) && (path + n == end || path[n] == ' ' || path[n] == '?');
}
static void handle(struct conn *c, const char *head, const char *body, size_t body_len) {
    const char *head_end = body, *path = memchr(head, ' ', head_end - head);
    if (!path++) { c->closing = 1; return; }
    if (is(path, head_end, "/stats")) { stats(c); return; }
    requests++;
    if (is(path, head_end, "/api/version")) { respond_text(c, 200, "{\"version\":\"0.33.0\"}"); return; }
    if (is(path, head_end, "/api/tags")) { list(c, 0); return; }
    if (is(path, head_end, "/api/ps")) { list(c, 1); return; }
    if (is(path, head_end, "/")) { respond_text(c, 200, "Ollama is running"); return; }
    int chat = is(path, head_end, "/api/chat"), generate = is(path, head_end, "/api/generate");
    int shows = is(path, head_end, "/api/show"), embeds = is(path, head_end, "/api/embed");
    if (!chat && !generate && !shows && !embeds) { respond_text(c, 404, "404 page not found"); return; }
    int stream = 1, inputs = 0;
    c->name[0] = 0;
    read_request(body, body + body_len, c->name, &stream, &inputs);
    if (!c->name[0]) { respond_text(c, 400, "{\"error\":\"model is required\"}"); return; }
    if (!parse_model(c->name, &c->model)) {
        char text[MAX_NAME + 40];
        snprintf(text, sizeof text, "{\"error\":\"model '%s' not found\"}", c->name);
        respond_text(c, 404, text);
    } else if (shows) show(c);
    else if (embeds) embed(c, inputs);
    else start(c, chat, stream);
}

/* ---- connections ---- */

static void drop(struct conn *c) {
    if (c->busy) { active--; aborted++; }
    heap_remove(c);
    if (c->ready) {  /* leave the list of ready connections */
        struct conn **at = &ready_first, *before = NULL;
        while (*at != c) { before = *at; at = &(*at)->next_ready; }
        *at = c->next_ready;
        if (ready_last == c) ready_last = before;
    }
    close(c->fd);
    free(c->in.at); free(c->out.at); free(c);
    connections--;
}
/* Handles one request if a whole one is there; returns whether it did. */
static int take_request(struct conn *c) {
    if (c->busy || c->shared || c->out.len || c->closing) return 0;
    if (!c->head_len) {
        char *end = c->in.len ? memmem(c->in.at, c->in.len, "\r\n\r\n", 4) : NULL;
        if (!end) { if (c->in.len > MAX_HEAD) c->closing = 1; return 0; }
        c->head_len = end + 4 - c->in.at;
        c->body_len = 0;
        for (char *p = c->in.at; p < end; p++) {
            if (!(p = memchr(p, '\n', end - p))) break;
            if (!strncasecmp(p + 1, "content-length:", 15)) c->body_len = strtoul(p + 16, NULL, 10);
            if (!strncasecmp(p + 1, "transfer-encoding:", 18) || c->body_len > MAX_BODY) { c->closing = 1; return 0; }
        }
        if (c->body_len) room(&c->in, c->body_len);
    }
    size_t all = c->head_len + c->body_len;
    if (c->in.len < all) return 0;
    handle(c, c->in.at, c->in.at + c->head_len, c->body_len);
    memmove(c->in.at, c->in.at + all, c->in.len - all);
    c->in.len -= all;
    c->head_len = 0;
    return 1;
}
static void receive(struct conn *c) {
    for (;;) {
        char *at = room(&c->in, 1 << 16);
        size_t space_left = c->in.cap - c->in.len;
        ssize_t n = recv(c->fd, at, space_left, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) break;
        if (n <= 0) { c->closing = 1; break; }  /* like Go's server: a caller that shut its side has left */
        c->in.len += n;
        if ((size_t)n < space_left) break;
    }
    if (c->in.len > MAX_BODY) c->closing = 1;
    take_request(c);
}
static void accept_all(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct conn *c = calloc(1, sizeof *c);
        if (!c) { close(fd); return; }
        c->fd = fd; c->heap_at = -1;
        connections++;
        struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
        epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e);
    }
}
/* Gives each ready connection one turn: more of a stream, or the next pipelined request. */
static void run_ready(void) {
    struct conn *c = ready_first;
    ready_first = ready_last = NULL;
    for (struct conn *next; c; c = next) {
        next = c->next_ready;
        c->ready = 0;
        if (c->closing) drop(c);
        else if (!c->busy) take_request(c);
        else if (!c->blocked) advance(c);
    }
}
static void on_event(struct conn *c, uint32_t events) {
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) receive(c);
    if (!c->closing && (events & EPOLLOUT) && flush(c)) {
        if (c->busy && c->heap_at < 0) make_ready(c); else take_request(c);
    }
    if (c->closing) drop(c);
}
static void run_timers(void) {
    int64_t now = now_us();
    while (heap_len && heap[0]->due_us <= now) {
        struct conn *c = heap[0];
        heap_remove(c);
        advance(c);
        if (c->closing) drop(c);
    }
}
static void set_timer(void) {
    struct itimerspec t = {0};
    if (heap_len) { t.it_value.tv_sec = heap[0]->due_us / 1000000; t.it_value.tv_nsec = heap[0]->due_us % 1000000 * 1000; }
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

int main(int argc, char **argv) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 0), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    if (bind(listener, (void *)&a, len) || listen(listener, 4096) || getsockname(listener, (void *)&a, &len)) { perror("listen"); return 1; }
    printf("%d\n", ntohs(a.sin_port));
    fflush(stdout);
    epfd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event l = {.events = EPOLLIN, .data.ptr = &listener}, t = {.events = EPOLLIN, .data.ptr = &timer_fd};
    epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &l);
    epoll_ctl(epfd, EPOLL_CTL_ADD, timer_fd, &t);
    for (;;) {
        struct epoll_event events[256];
        set_timer();
        int n = epoll_wait(epfd, events, 256, ready_first ? 0 : -1);
        if (n < 0 && errno != EINTR) { perror("epoll_wait"); return 1; }
        for (int i = 0; i < n; i++) {
            uint64_t ticks;
            if (events[i].data.ptr == &listener) accept_all(listener);
            else if (events[i].data.ptr == &timer_fd) { if (read(timer_fd, &ticks, sizeof ticks) < 0) continue; }
            else on_event(events[i].data.ptr, events[i].events);
        }
        run_timers();
        run_ready();
    }
}
