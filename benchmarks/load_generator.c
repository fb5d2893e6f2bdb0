/* Load with client certificates: many TLS 1.3 connections from one thread, each answer checked, each latency counted.
 *
 *   load_generator --port P --certificate CHAIN_AND_KEY.pem --ca CA.pem --host NAME --path /x
 *                  --protocol h1|h2 --mode handshake|keepalive|idle --connections N [--streams M]
 *                  --seconds S | --requests N  [--rate R] [--wait]
 *
 *   handshake  each request has a connection of its own: a full handshake, never resumed, ended by a reset so that ports last
 *   keepalive  all connections are opened first, then the clock starts and each asks again when it was answered
 *   idle       each connection asks once and is then held until standard input ends; {"ready": N} is printed before
 *
 * With --rate requests are due at fixed times, whatever the server does, and latency counts from when a request was due: a
 * server that stalls is not asked less (no coordinated omission). Without, it counts from when it was asked; in `handshake`, from
 * dialling. With --wait {"ready": N} is printed once all connections are open, and a line on standard input starts the clock.
 *
 * The last line of standard output is a JSON object; exit 1 when anything failed, with up to five reasons on standard error, and
 * 2 when it was asked for nonsense. A request fails when its answer is not 200, is cut short, is longer than it said, or never
 * comes; none is asked twice, but for those which an HTTP/2 server said it had not looked at (RFC 9113 8.7): the `retried`.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    REASONS = 5,
    REASON_SIZE = 200,
    OPENING_AT_ONCE = 64, /* More could overflow the server's queue of those it has not accepted, and wait for a second SYN. */
    QUERY_SIZE = 4096,
    OUT_SIZE = 2 * QUERY_SIZE, /* So that half of it has room for whatever frame comes next. */
    HEAD_SIZE = 8192,
    READ_SIZE = 16384, /* A TLS record. */
    STREAM_WINDOW = 6 << 20, /* What browsers offer: a body of some MB must not wait for our window. */
    CONNECTION_WINDOW = 15 << 20,
    EVENTS = 64,
    A_WHILE = 100, /* ms, after which it looks whether it is over. */
};
static const int64_t SECOND = 1000000000;
static const int64_t PATIENCE = 10 * SECOND; /* With no sign of life from anybody for so long, what is open has failed. */

enum mode { HANDSHAKE, KEEPALIVE, IDLE };

static struct {
    int port, connections, streams;
    const char *certificate, *ca, *host, *path;
    bool h2, wait;
    enum mode mode;
    double seconds, rate;
    long requests;
} wanted = {.connections = 1, .streams = 1, .host = "localhost", .path = "/", .mode = KEEPALIVE};

static struct {
    long answered, failed, connections, retried;
    int64_t bytes, started, ended;
} seen;

static int64_t now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * SECOND + at.tv_nsec;
}

static _Noreturn void give_up(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

/* Latencies: so many steps to each doubling that a value is off by less than 0.4 %. */

enum { STEP_BITS = 7, STEPS = 1 << STEP_BITS, DOUBLINGS = 64 - STEP_BITS };
static long latencies[DOUBLINGS * STEPS];
static int64_t longest;

static void take_down(int64_t nanoseconds) {
    int shift = 0;
    while (nanoseconds >> shift >= 2 * STEPS) shift++;
    latencies[shift * STEPS + (nanoseconds >> shift)]++;
    if (nanoseconds > longest) longest = nanoseconds;
}

/* In µs; the middle of the step that holds it. */
static double latency(double share) {
    int64_t below = 0, enough = (int64_t)(share * (double)seen.answered + 0.9999999);
    for (int index = 0; index < DOUBLINGS * STEPS; index++) {
        below += latencies[index];
        if (latencies[index] == 0 || below < enough) continue;
        int shift = index < 2 * STEPS ? 0 : index / STEPS - 1;
        double middle = ((double)(index - shift * STEPS) + 0.5) * (double)(1LL << shift);
        return (middle < (double)longest ? middle : (double)longest) / 1000;
    }
    return 0;
}

/* What went wrong: each reason is told once, and not more than a few. */

static char reasons[REASONS][REASON_SIZE];

static void count_failure(long requests, const char *format, ...) {
    char reason[REASON_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    seen.failed += requests;
    for (int i = 0; i < REASONS; i++) {
        if (strcmp(reasons[i], reason) == 0) return;
        if (reasons[i][0]) continue;
        strcpy(reasons[i], reason);
        fprintf(stderr, "%s\n", reason);
        return;
    }
}

/* An HTTP/1.1 answer as it comes; the body is counted and forgotten. */

enum part { HEAD, BODY, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER };

struct answer {
    enum part part;
    int status;
    bool last;    /* The server will close. */
    int64_t left; /* Of the body, or of the chunk. */
    bool any;     /* Something on this line, or a digit of this chunk's size. */
    bool sized;   /* The digits are over. */
    size_t length;
    char head[HEAD_SIZE];
};

static bool is(const char *line, const char *field, const char **value) {
    size_t length = strlen(field);
    if (strncasecmp(line, field, length) != 0 || line[length] != ':') return false;
    *value = line + length + 1 + strspn(line + length + 1, " \t");
    return true;
}

/* What the head says of the body; a complaint, or NULL. */
static const char *understand(struct answer *answer) {
    int minor;
    long long length = -1;
    bool chunked = false;
    if (sscanf(answer->head, "HTTP/1.%1d %3d", &minor, &answer->status) != 2) return "not an HTTP/1 answer";
    answer->last = minor == 0;
    for (char *line = strstr(answer->head, "\r\n"); line; line = strstr(line, "\r\n")) {
        const char *value;
        line += 2;
        if (is(line, "content-length", &value)) {
            char *end;
            length = strtoll(value, &end, 10);
            if (end == value || length < 0) return "a Content-Length that is no number";
        } else if (is(line, "transfer-encoding", &value)) {
            chunked = strncasecmp(value, "chunked", 7) == 0;
        } else if (is(line, "connection", &value)) {
            answer->last = strncasecmp(value, "close", 5) == 0;
        }
    }
    if (answer->status / 100 == 1) return answer->status == 101 ? "status 101" : NULL;
    if (answer->status == 204 || answer->status == 304) length = 0;
    if (!chunked && length < 0) return "an answer that tells no length";
    answer->part = chunked ? CHUNK_SIZE : BODY;
    answer->left = chunked ? 0 : length;
    answer->any = answer->sized = false;
    return NULL;
}

static size_t take_body(struct answer *answer, size_t length) {
    size_t taken = (int64_t)length < answer->left ? length : (size_t)answer->left;
    answer->left -= (int64_t)taken;
    seen.bytes += (int64_t)taken;
    return taken;
}

static size_t take_head(struct answer *answer, const char *data, size_t length, const char **complaint) {
    size_t before = answer->length, room = HEAD_SIZE - 1 - before, copied = length < room ? length : room;
    memcpy(answer->head + before, data, copied);
    answer->length += copied;
    answer->head[answer->length] = 0;
    char *end = strstr(answer->head + (before > 3 ? before - 3 : 0), "\r\n\r\n");
    if (!end) {
        if (answer->length == HEAD_SIZE - 1) *complaint = "a head of more than 8 kB, or with a NUL";
        return copied;
    }
    end[2] = 0;
    size_t taken = (size_t)(end + 4 - answer->head) - before;
    *complaint = understand(answer);
    if (answer->part == HEAD) answer->length = 0; /* 1xx: the answer is still to come. */
    return taken;
}

static const char *take_size(struct answer *answer, char sign) {
    static const char digits[] = "0123456789abcdef";
    const char *digit = sign ? strchr(digits, sign | 0x20) : NULL;
    if (sign == '\n') {
        if (!answer->any) return "a chunk without a size";
        answer->part = answer->left ? CHUNK : TRAILER;
        answer->any = answer->sized = false;
    } else if (digit && !answer->sized) {
        if (answer->left >> 40) return "a chunk of more than a TB";
        answer->left = answer->left * 16 + (digit - digits);
        answer->any = true;
    } else {
        answer->sized = true; /* An extension, or the carriage return. */
    }
    return NULL;
}

/* Take what came: true when the answer is whole. `*complaint` is set when it is none. */
static bool hear(struct answer *answer, const char *data, size_t length, const char **complaint) {
    while (true) {
        if (answer->part == BODY && answer->left == 0) {
            if (length) *complaint = "more than it said";
            return true;
        }
        if (length == 0 || *complaint) return false;
        size_t taken = 1;
        switch (answer->part) {
        case HEAD: taken = take_head(answer, data, length, complaint); break;
        case BODY: taken = take_body(answer, length); break;
        case CHUNK_SIZE: *complaint = take_size(answer, *data); break;
        case CHUNK:
            taken = take_body(answer, length);
            if (answer->left == 0) answer->part = CHUNK_END;
            break;
        case CHUNK_END:
            if (*data == '\n') answer->part = CHUNK_SIZE;
            else if (*data != '\r') *complaint = "a chunk that is longer than it said";
            break;
        case TRAILER:
            if (*data == '\n' && !answer->any) answer->part = BODY; /* Nothing is left of it. */
            else answer->any = *data != '\n' && (answer->any || *data != '\r');
            break;
        }
        data += taken;
        length -= taken;
    }
}

/* Connections. */

enum state { CLOSED, DIALLING, SHAKING, OPEN };

struct request {
    int64_t due; /* 0: this place is free. */
    int status;
};

struct connection;
TAILQ_HEAD(list, connection);

struct connection {
    enum state state;
    int fd;
    SSL *tls;
    nghttp2_session *h2;
    struct answer *answer;
    bool proven;  /* It has had an answer: only then a TLS 1.3 server has let us in. */
    bool leaving; /* Takes no more requests. */
    bool unsent;  /* In the list of those that have something to send. */
    int in_flight;
    struct request *requests; /* As many places as streams. */
    size_t filled, sent;
    char *out;
    TAILQ_ENTRY(connection) others, unsent_others;
    struct list *list; /* In which it is: `ready`, `closed`, or none. */
};

static struct list ready = TAILQ_HEAD_INITIALIZER(ready);   /* Can take a request. */
static struct list closed = TAILQ_HEAD_INITIALIZER(closed); /* To be opened. */
static struct list unsent = TAILQ_HEAD_INITIALIZER(unsent); /* What they want to send goes out together, after an event. */
static int opening;
static long held, in_flight, asked;
static bool started;
static int poll_fd, timer_fd;
static SSL_CTX *context;
static nghttp2_session_callbacks *callbacks;
static char query[QUERY_SIZE];
static struct { int64_t *due; size_t count, room; } returned; /* Requests that nobody looked at. */

static void move_to(struct connection *connection, struct list *list) {
    if (connection->list == list) return;
    if (connection->list) TAILQ_REMOVE(connection->list, connection, others);
    if (list) TAILQ_INSERT_TAIL(list, connection, others);
    connection->list = list;
}

static void will_send(struct connection *connection) {
    if (!connection->unsent) TAILQ_INSERT_TAIL(&unsent, connection, unsent_others);
    connection->unsent = true;
}

static bool may_take(const struct connection *connection) {
    return connection->state == OPEN && !connection->leaving && connection->in_flight < wanted.streams &&
           (wanted.mode == KEEPALIVE || !connection->requests[0].status);
}

static void hang_up(struct connection *connection) {
    if (connection->state == DIALLING || connection->state == SHAKING) opening--;
    if (connection->state == OPEN) held--;
    nghttp2_session_del(connection->h2);
    SSL_free(connection->tls);
    close(connection->fd);
    ERR_clear_error();
    connection->h2 = NULL;
    connection->tls = NULL;
    connection->state = CLOSED;
    move_to(connection, wanted.mode == HANDSHAKE ? &ready : wanted.mode == KEEPALIVE ? &closed : NULL);
}

/* A connection is gone, and with it what was asked on it. */
static void lose(struct connection *connection, const char *reason) {
    long lost = connection->in_flight;
    if (!lost && !connection->proven) {
        lost = 1;         /* It could not be had. */
        asked += started; /* So that a server that lets nobody in is not dialled for ever. */
    } else if (!lost && wanted.mode == IDLE) {
        lost = 1; /* It was to be held. */
    }
    if (lost) count_failure(lost, "%s%s", connection->state == OPEN ? "" : "not opened: ", reason);
    in_flight -= connection->in_flight;
    for (int i = 0; i < wanted.streams; i++) connection->requests[i].due = 0;
    connection->in_flight = 0;
    hang_up(connection);
}

/* In OpenSSL's words, which name the alert that the server sent or what is wrong with its certificate. */
static const char *tls_error(const struct connection *connection, int result) {
    int error = SSL_get_error(connection->tls, result);
    long verified = SSL_get_verify_result(connection->tls);
    unsigned long queued = ERR_peek_error();
    if (verified != X509_V_OK) return X509_verify_cert_error_string(verified);
    if (error == SSL_ERROR_ZERO_RETURN) return "closed by the server";
    if (queued) return ERR_reason_error_string(queued) ? ERR_reason_error_string(queued) : "a TLS error";
    return errno ? strerror(errno) : "closed by the server, without a TLS close";
}

static bool must_wait(const struct connection *connection, int result) {
    int error = SSL_get_error(connection->tls, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* The server has had its say about a request. */
static void forget(struct connection *connection, struct request *request) {
    connection->proven = true;
    request->due = 0;
    connection->in_flight--;
    in_flight--;
}

/* One request is over, with a whole answer. */
static void finish(struct connection *connection, struct request *request) {
    if (request->status == 200) {
        seen.answered++;
        take_down(now() - request->due);
    } else {
        count_failure(1, "status %d", request->status);
        connection->leaving |= wanted.mode == IDLE; /* Not one of those to be held. */
    }
    forget(connection, request);
}

/* HTTP/2. */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t value_length, uint8_t flags, void *connection) {
    struct request *request = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)flags, (void)connection;
    if (request && name_length == 7 && memcmp(name, ":status", 7) == 0 && value_length == 3)
        request->status = atoi((const char *)value);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t length,
                   void *connection) {
    (void)session, (void)flags, (void)stream, (void)data, (void)connection;
    seen.bytes += (int64_t)length;
    return 0;
}

/* nghttp2 has compared the body with its content-length, and calls a stream that differs an error. */
static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error, void *user_data) {
    struct connection *connection = user_data;
    struct request *request = nghttp2_session_get_stream_user_data(session, stream);
    if (!request) return 0;
    if (error == NGHTTP2_NO_ERROR) {
        finish(connection, request);
        return 0;
    }
    if (error == NGHTTP2_REFUSED_STREAM) {
        if (returned.count == returned.room) {
            returned.room = returned.room * 2 + 64;
            returned.due = realloc(returned.due, returned.room * sizeof *returned.due);
        }
        returned.due[returned.count++] = request->due;
        seen.retried++;
    } else {
        count_failure(1, "stream ended: %s", nghttp2_http2_strerror(error));
    }
    forget(connection, request);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user_data) {
    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY) ((struct connection *)user_data)->leaving = true;
    return 0;
}

static void begin_h2(struct connection *connection) {
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                         {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW}};
    nghttp2_session_client_new(&connection->h2, callbacks, connection);
    nghttp2_submit_settings(connection->h2, NGHTTP2_FLAG_NONE, settings, 2);
    nghttp2_session_set_local_window_size(connection->h2, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
}

#define FIELD(name, value) {(uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE}

static void submit(struct connection *connection, struct request *request) {
    nghttp2_nv fields[] = {FIELD(":method", "GET"), FIELD(":scheme", "https"), FIELD(":authority", wanted.host),
                           FIELD(":path", wanted.path)};
    int32_t stream = nghttp2_submit_request(connection->h2, NULL, fields, 4, NULL, request);
    if (stream < 0) give_up("a request that nghttp2 does not take: %s", nghttp2_strerror(stream));
}

/* What nghttp2 wants to send: many frames in one record, for each record costs both sides. */
static void fill(struct connection *connection) {
    const uint8_t *frame;
    while (connection->filled < OUT_SIZE / 2) {
        ssize_t length = nghttp2_session_mem_send(connection->h2, &frame);
        if (length <= 0) return;
        if (connection->filled + (size_t)length > OUT_SIZE) give_up("a frame of %zd bytes, for a request without a body", length);
        memcpy(connection->out + connection->filled, frame, (size_t)length);
        connection->filled += (size_t)length;
    }
}

/* Reading and writing. */

/* What a connection does next: it ends when it has done its work, or is ready for more. False when it has ended. */
static bool settle(struct connection *connection) {
    if (connection->in_flight == 0 && (connection->leaving || (wanted.mode == HANDSHAKE && connection->proven))) {
        hang_up(connection);
        return false;
    }
    if (wanted.mode != HANDSHAKE) move_to(connection, may_take(connection) ? &ready : NULL);
    return true;
}

static void send_out(struct connection *connection) {
    while (true) {
        if (connection->sent == connection->filled) {
            connection->sent = connection->filled = 0;
            if (connection->h2) fill(connection);
            if (connection->filled == 0) break;
        }
        errno = 0;
        int left = (int)(connection->filled - connection->sent);
        int written = SSL_write(connection->tls, connection->out + connection->sent, left);
        if (written > 0) {
            connection->sent += (size_t)written;
        } else {
            if (!must_wait(connection, written)) lose(connection, tls_error(connection, written));
            return;
        }
    }
    if (connection->h2 && !nghttp2_session_want_read(connection->h2) && !nghttp2_session_want_write(connection->h2))
        lose(connection, "HTTP/2 has come to an end"); /* A farewell, or a protocol error, and all that was to be said is said. */
    else
        settle(connection); /* For nghttp2 ends a stream that broke the rules once it has sent a reset. */
}

static void send_all(void) {
    struct connection *connection;
    while ((connection = TAILQ_FIRST(&unsent))) {
        TAILQ_REMOVE(&unsent, connection, unsent_others);
        connection->unsent = false;
        if (connection->state == OPEN) send_out(connection);
    }
}

/* These return false when the connection is gone. */

static bool hear_h1(struct connection *connection, const char *data, size_t length) {
    const char *complaint = NULL;
    bool whole = connection->in_flight && hear(connection->answer, data, length, &complaint);
    if (!connection->in_flight) complaint = "an answer that nobody asked for";
    if (complaint) {
        lose(connection, complaint);
        return false;
    }
    if (!whole) return true;
    connection->leaving |= connection->answer->last;
    connection->requests[0].status = connection->answer->status;
    connection->answer->part = HEAD;
    connection->answer->length = 0;
    finish(connection, &connection->requests[0]);
    return true;
}

static bool hear_h2(struct connection *connection, const char *data, size_t length) {
    ssize_t taken = nghttp2_session_mem_recv(connection->h2, (const uint8_t *)data, length);
    if (taken < 0) {
        lose(connection, nghttp2_strerror((int)taken));
        return false;
    }
    return true;
}

static bool read_in(struct connection *connection) {
    static char data[READ_SIZE];
    while (true) {
        errno = 0;
        int length = SSL_read(connection->tls, data, sizeof data);
        if (length <= 0) {
            if (must_wait(connection, length)) return true;
            lose(connection, tls_error(connection, length));
            return false;
        }
        if (!(connection->h2 ? hear_h2 : hear_h1)(connection, data, (size_t)length)) return false;
        if (!settle(connection)) return false;
    }
}

static void dial(struct connection *connection) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)wanted.port)};
    struct linger reset = {.l_onoff = 1}; /* No TIME_WAIT: the ports must last. */
    int on = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) give_up("socket: %s", strerror(errno));
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    connection->tls = SSL_new(context);
    SSL_set_fd(connection->tls, connection->fd);
    SSL_set_tlsext_host_name(connection->tls, wanted.host);
    SSL_set1_host(connection->tls, wanted.host);
    connection->proven = connection->leaving = false;
    for (int i = 0; i < wanted.streams; i++) connection->requests[i].status = 0;
    connection->filled = connection->sent = 0;
    if (connection->answer) connection->answer->part = HEAD, connection->answer->length = 0;
    connection->state = DIALLING;
    opening++;
    move_to(connection, NULL);
    /* Edges: each change of what the socket can do is told once, and each time we go as far as it lets us. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = connection};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, connection->fd, &event);
    if (connect(connection->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS)
        lose(connection, strerror(errno));
}

static void write_request(struct connection *connection, struct request *request) {
    if (connection->h2) {
        submit(connection, request);
    } else {
        connection->sent = 0;
        connection->filled = strlen(query);
        memcpy(connection->out, query, connection->filled);
    }
    will_send(connection);
}

static void ask(struct connection *connection, int64_t due) {
    struct request *request = connection->requests;
    while (request->due) request++;
    *request = (struct request){.due = due};
    connection->in_flight++;
    in_flight++;
    if (wanted.mode == HANDSHAKE) {
        dial(connection); /* It is written once the connection is open. */
        return;
    }
    write_request(connection, request);
    move_to(connection, NULL); /* And to the end, if it can take more: others have their turn first. */
    if (may_take(connection)) move_to(connection, &ready);
}

static void opened(struct connection *connection) {
    const unsigned char *protocol;
    unsigned length;
    SSL_get0_alpn_selected(connection->tls, &protocol, &length);
    if (wanted.h2 && (length != 2 || memcmp(protocol, "h2", 2) != 0)) {
        lose(connection, "the server does not speak HTTP/2");
        return;
    }
    opening--;
    held++;
    seen.connections++;
    connection->state = OPEN;
    if (wanted.h2) begin_h2(connection);
    will_send(connection);
    if (wanted.mode == HANDSHAKE) write_request(connection, connection->requests);
}

/* Go as far as the socket lets us. */
static void drive(struct connection *connection) {
    if (connection->state == CLOSED) return; /* Of the same batch of events: lost meanwhile. */
    if (connection->state == DIALLING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            lose(connection, strerror(error));
            return;
        }
        connection->state = SHAKING;
    }
    if (connection->state == SHAKING) {
        errno = 0;
        int shaken = SSL_connect(connection->tls);
        if (shaken != 1) {
            if (!must_wait(connection, shaken)) lose(connection, tls_error(connection, shaken));
            return;
        }
        opened(connection);
        if (connection->state != OPEN) return;
    }
    if (!read_in(connection)) return;
    will_send(connection);
    settle(connection);
}

/* When requests are due. */

static int64_t last_due;  /* None is due after this. */
static int64_t alarm_due; /* For when the timer is set. */

/* Whether all that were to be asked have been. */
static bool all_asked(void) {
    if (returned.count) return false;
    if (wanted.requests) return asked >= wanted.requests;
    if (wanted.rate) return seen.started + (int64_t)((double)asked / wanted.rate * 1e9) > last_due;
    return now() > last_due;
}

/* When the next one is, which may be later; what nobody looked at is due since before. */
static int64_t next_due(void) {
    if (returned.count) return returned.due[returned.count - 1];
    return wanted.rate ? seen.started + (int64_t)((double)asked / wanted.rate * 1e9) : now();
}

static void ask_what_is_due(void) {
    struct connection *connection;
    while (started && (connection = TAILQ_FIRST(&ready)) && !all_asked()) {
        if (wanted.mode == HANDSHAKE && opening >= OPENING_AT_ONCE) return;
        int64_t due = next_due();
        if (due > now()) {
            if (due == alarm_due) return;
            alarm_due = due;
            struct itimerspec at = {.it_value = {.tv_sec = due / SECOND, .tv_nsec = due % SECOND}};
            timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
            return;
        }
        if (returned.count) returned.count--;
        else asked++;
        ask(connection, due);
    }
}

static void open_more(void) {
    struct connection *connection;
    /* What is refused at once stands in line again, so this must end some other way, too. */
    for (int dialled = 0; dialled < OPENING_AT_ONCE && opening < OPENING_AT_ONCE; dialled++) {
        if (!(connection = TAILQ_FIRST(&closed))) return;
        if (started && all_asked()) return;
        dial(connection);
    }
}

/* The loop. */

static int64_t last_sign;
static bool input_ended;

/* What can be done without waiting for anybody. */
static void go_on(void) {
    ask_what_is_due();
    send_all();
    open_more();
}

static int serve_events(int milliseconds) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poll_fd, events, EVENTS, milliseconds);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == &timer_fd) {
            uint64_t expirations;
            if (read(timer_fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN) give_up("timer: %s", strerror(errno));
        } else if (events[i].data.ptr == &input_ended) {
            char some[64];
            if (read(STDIN_FILENO, some, sizeof some) <= 0) input_ended = true;
            if (input_ended) epoll_ctl(poll_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
        } else {
            drive(events[i].data.ptr);
            last_sign = now();
        }
        ask_what_is_due();
        send_all();
    }
    go_on();
    return count;
}

static bool patient(void) { return now() - last_sign < PATIENCE; }

static void watch(int fd, void *who) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = who};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) != 0) input_ended = true; /* A file, or /dev/null. */
}

static void say_ready(void) {
    printf("{\"ready\": %ld}\n", held);
    fflush(stdout);
}

static void start_clock(void) {
    seen.started = last_sign = now();
    last_due = seen.started + (int64_t)(wanted.seconds * 1e9);
    started = true;
}

/* Open all that are to be kept. Each may fail once: what cannot be opened at all must end, too. */
static void open_all(void) {
    last_sign = now();
    open_more();
    while (held + seen.failed < wanted.connections && patient()) serve_events(A_WHILE);
}

static void work(void) {
    if (wanted.mode == KEEPALIVE) open_all();
    if (wanted.wait) {
        say_ready();
        if (getchar() == EOF) give_up("not told to begin");
    }
    start_clock();
    go_on(); /* At once: nothing happens before somebody is asked. */
    while (!(all_asked() && in_flight == 0)) {
        if (in_flight || opening) {
            if (!patient()) break;
        } else {
            last_sign = now(); /* It is we who wait, for the next one to be due. */
        }
        serve_events(A_WHILE);
    }
    seen.ended = now();
    if (in_flight) count_failure(in_flight, "no answer, and no sign of life for %d s", (int)(PATIENCE / SECOND));
}

static void hold(void) {
    say_ready();
    watch(STDIN_FILENO, &input_ended);
    while (!input_ended) serve_events(A_WHILE);
    while (serve_events(0) > 0) continue; /* Those that the server ended meanwhile must be known. */
}

/* Setting up. */

static int alpn_of(const unsigned char **protocols) {
    *protocols = (const unsigned char *)(wanted.h2 ? "\x02h2" : "\x08http/1.1");
    return wanted.h2 ? 3 : 9;
}

static void make_context(void) {
    const unsigned char *protocols;
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set1_groups_list(context, "X25519:P-256");
    /* As browsers have it. OpenSSL itself would rather have AES-256, which some servers grant and others do not: unequal work. */
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1); /* One system call for a record, not two. */
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    unsigned length = (unsigned)alpn_of(&protocols);
    SSL_CTX_set_alpn_protos(context, protocols, length);
    if (SSL_CTX_load_verify_locations(context, wanted.ca, NULL) != 1) give_up("%s: no certificates of an authority", wanted.ca);
    if (SSL_CTX_use_certificate_chain_file(context, wanted.certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, wanted.certificate, SSL_FILETYPE_PEM) != 1)
        give_up("%s: not a certificate with its key", wanted.certificate);
}

static void make_callbacks(void) {
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
}

static void make_connections(void) {
    struct rlimit files;
    rlim_t needed = (rlim_t)wanted.connections + 64;
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < needed) {
        files.rlim_cur = needed;
        if (files.rlim_max < needed) files.rlim_max = needed; /* Root may. */
        if (setrlimit(RLIMIT_NOFILE, &files) != 0) give_up("%d connections: %s", wanted.connections, strerror(errno));
    }
    for (int i = 0; i < wanted.connections; i++) {
        struct connection *connection = calloc(1, sizeof *connection);
        connection->requests = calloc((size_t)wanted.streams, sizeof *connection->requests);
        connection->out = malloc(OUT_SIZE);
        if (!wanted.h2) connection->answer = calloc(1, sizeof *connection->answer);
        move_to(connection, wanted.mode == HANDSHAKE ? &ready : &closed);
    }
}

static long number(const char *text, long least) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < least) give_up("not a number of at least %ld: %s", least, text);
    return value;
}

static int choice(const char *text, const char *const *choices) {
    for (int i = 0; choices[i]; i++)
        if (strcmp(text, choices[i]) == 0) return i;
    give_up("unknown: %s", text);
}

static void read_options(int count, char **arguments) {
    static const char *const protocols[] = {"h1", "h2", NULL}, *const modes[] = {"handshake", "keepalive", "idle", NULL};
    static const struct option options[] = {
        {"port", 1, NULL, 'p'},        {"certificate", 1, NULL, 'c'}, {"ca", 1, NULL, 'a'},      {"host", 1, NULL, 'h'},
        {"path", 1, NULL, 'u'},        {"protocol", 1, NULL, 'v'},    {"mode", 1, NULL, 'm'},    {"connections", 1, NULL, 'n'},
        {"streams", 1, NULL, 's'},     {"seconds", 1, NULL, 't'},     {"requests", 1, NULL, 'r'}, {"rate", 1, NULL, 'f'},
        {"wait", 0, NULL, 'w'},        {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(count, arguments, "", options, NULL)) != -1;) {
        switch (option) {
        case 'p': wanted.port = (int)number(optarg, 1); break;
        case 'c': wanted.certificate = optarg; break;
        case 'a': wanted.ca = optarg; break;
        case 'h': wanted.host = optarg; break;
        case 'u': wanted.path = optarg; break;
        case 'v': wanted.h2 = choice(optarg, protocols) == 1; break;
        case 'm': wanted.mode = (enum mode)choice(optarg, modes); break;
        case 'n': wanted.connections = (int)number(optarg, 1); break;
        case 's': wanted.streams = (int)number(optarg, 1); break;
        case 't': wanted.seconds = atof(optarg); break;
        case 'r': wanted.requests = number(optarg, 1); break;
        case 'f': wanted.rate = atof(optarg); break;
        case 'w': wanted.wait = true; break;
        default: exit(2);
        }
    }
    if (optind < count) give_up("unexpected: %s", arguments[optind]);
    if (!wanted.port || !wanted.certificate || !wanted.ca) give_up("--port, --certificate and --ca are needed");
    if (wanted.mode == IDLE) wanted.requests = wanted.connections;
    if ((wanted.seconds > 0) == (wanted.requests > 0)) give_up("either --seconds or --requests, and neither when idle");
    if (!wanted.h2 || wanted.mode != KEEPALIVE) wanted.streams = 1; /* HTTP/1.1 answers in order; the other modes ask once. */
    if (snprintf(query, sizeof query, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", wanted.path, wanted.host) >= (int)sizeof query)
        give_up("too long a path");
}

static void tell(void) {
    printf("{\"answered\": %ld, \"failed\": %ld, \"connections\": %ld, \"retried\": %ld, \"bytes\": %lld, \"seconds\": %.6f, "
           "\"latency_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f}}\n",
           seen.answered, seen.failed, seen.connections, seen.retried, (long long)seen.bytes,
           (double)(seen.ended - seen.started) / 1e9, latency(0.5), latency(0.9), latency(0.99), (double)longest / 1000);
    fflush(stdout);
}

int main(int count, char **arguments) {
    read_options(count, arguments);
    signal(SIGPIPE, SIG_IGN); /* Writing to whoever has gone is an error of that connection alone. */
    make_context();
    make_callbacks();
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    watch(timer_fd, &timer_fd);
    make_connections();
    work();
    if (wanted.mode == IDLE) hold();
    tell();
    _exit(seen.failed ? 1 : 0); /* The kernel closes ten thousand connections faster than we do. */
}
