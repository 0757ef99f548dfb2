/* The run (see run.py) without the interpreter: packets that hold no surprise, from socket to socket.

   Everything else is handed to Python: which sockets are readable, packets that are not the next ones of their
   run, runs that have lasted long enough to be counted.  Optional: without a C compiler at the time of
   installation the same is done in Python.

   A turn goes by stages (receive all, open all, seal all, send all), which keeps the code of each stage in the
   processor's cache.  `struct lane` and `struct turn` are laid out again in fastpath.py; `fastpath_layout`
   tells whether the two agree. */

#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define DATAGRAM 2048   /* larger ones are cut: no telephone sends them */
#define TRAILER 160     /* what libsrtp may add */
#define READY 1024      /* sockets of one turn */
#define STAGE 64        /* packets that go through the stages together */
#define KEPT 256        /* packets of one turn that Python is given */
#define MARKS 32
#define HEADER 12
#define MARK_EVERY ((uint64_t)7 << 32)

/* Counts up with every change of what Python and this file say to each other. */
#define VERSION 2

enum { SOCKET, RECEIVED, OPENED, ENDED };

typedef int (*srtp_function)(void *session, void *packet, int *length);

struct lane {
    uint64_t expected, step; /* the head (first eight bytes) of the next packet, and how it grows */
    uint64_t out, out_step;  /* the same of what leaves */
    void *opens, *seals;     /* sessions of libsrtp, or NULL */
    const uint8_t *table;    /* of 256 octets between the two laws of G.711, or NULL */
    uint32_t ssrc, out_ssrc;
    int32_t armed;
    int32_t length;          /* of a packet that comes, without its protection */
    int32_t sink;            /* file number; -1 = packets are only counted */
    int32_t left;            /* marks until the run ends */
    int32_t marked;
    int32_t unsent, refused;
    int32_t unused;
    uint64_t heads[MARKS];   /* of every eighth packet ... */
    double times[MARKS];     /* ... and when it came */
};

struct happening {
    int32_t number, kind, length, unused;
};

struct turn {
    double now;
    srtp_function unprotect, protect;
    struct lane **lanes; /* by file number; NULL where there is none */
    int32_t lanes_length;
    int32_t handled;     /* sockets that had something */
    int32_t count;       /* of what happened */
    int32_t kept;        /* packets in `packets` */
    struct happening happened[READY];
    uint8_t packets[KEPT][DATAGRAM]; /* of what happened, in that order */
};

struct packet {
    struct lane *lane;
    uint64_t head;
    int length, out_length;
    int number;
    _Alignas(16) uint8_t data[DATAGRAM + TRAILER];
};

int64_t fastpath_layout(int32_t what) {
    switch (what) {
    case 0: return VERSION;
    case 1: return sizeof(struct lane);
    case 2: return offsetof(struct lane, heads);
    case 3: return sizeof(struct turn);
    case 4: return offsetof(struct turn, happened);
    default: return -1;
    }
}

static uint64_t read_head(const uint8_t *data) {
    uint64_t head = 0;
    for (int i = 0; i < 8; i++) head = head << 8 | data[i];
    return head;
}

static uint32_t read_ssrc(const uint8_t *data) {
    return (uint32_t)data[8] << 24 | (uint32_t)data[9] << 16 | (uint32_t)data[10] << 8 | data[11];
}

static void write_head(uint8_t *data, uint64_t head, uint32_t ssrc) {
    for (int i = 7; i >= 0; i--, head >>= 8) data[i] = (uint8_t)head;
    for (int i = 11; i >= 8; i--, ssrc >>= 8) data[i] = (uint8_t)ssrc;
}

static void tell(struct turn *turn, int number, int kind) {
    struct happening *one = &turn->happened[turn->count++];
    one->number = number;
    one->kind = kind;
    one->length = 0;
}

/* There is room: no stage begins for whose packets there is not. */
static void hand_over(struct turn *turn, const struct packet *packet, int kind) {
    tell(turn, packet->number, kind);
    turn->happened[turn->count - 1].length = packet->length;
    memcpy(turn->packets[turn->kept++], packet->data, packet->length);
}

/* Takes what waits in one socket; whether the packet belongs to the run as far as its plain parts tell. */
static int receive(struct turn *turn, struct packet *packet) {
    const struct lane *lane = packet->lane;
    ssize_t length = recv(packet->number, packet->data, DATAGRAM, MSG_DONTWAIT);
    if (length < 0) return 0; /* nothing, or an ICMP error that a packet of ours brought back */
    packet->length = (int)length;
    if (length >= HEADER) {
        packet->head = read_head(packet->data);
        if (packet->head == lane->expected && read_ssrc(packet->data) == lane->ssrc
            && (lane->opens != NULL || packet->length == lane->length))
            return 1;
    }
    hand_over(turn, packet, RECEIVED);
    return 0;
}

static int open_packet(struct turn *turn, struct packet *packet) {
    struct lane *lane = packet->lane;
    if (lane->opens == NULL) return 1;
    if (turn->unprotect(lane->opens, packet->data, &packet->length)) {
        lane->refused++;
        return 0;
    }
    if (packet->length == lane->length) return 1;
    hand_over(turn, packet, OPENED);
    return 0;
}

static int seal(struct turn *turn, struct packet *packet) {
    struct lane *lane = packet->lane;
    lane->expected = packet->head + lane->step;
    uint64_t out = lane->out;
    lane->out = out + lane->out_step;
    if (!(packet->head & MARK_EVERY) && lane->marked < MARKS) {
        lane->heads[lane->marked] = packet->head;
        lane->times[lane->marked++] = turn->now;
        if (--lane->left <= 0) {
            lane->armed = 0;
            tell(turn, packet->number, ENDED);
        }
    }
    if (lane->sink < 0) return 0;
    packet->out_length = packet->length;
    if (lane->table != NULL)
        for (int i = HEADER; i < packet->length; i++) packet->data[i] = lane->table[packet->data[i]];
    write_head(packet->data, out, lane->out_ssrc);
    if (lane->seals != NULL && turn->protect(lane->seals, packet->data, &packet->out_length)) {
        lane->unsent++;
        return 0;
    }
    return 1;
}

typedef int (*stage)(struct turn *turn, struct packet *packet);

static int pass(stage through, struct turn *turn, struct packet **packets, int count) {
    int left = 0;
    for (int i = 0; i < count; i++)
        if (through(turn, packets[i])) packets[left++] = packets[i];
    return left;
}

static struct lane *lane_of(const struct turn *turn, int number) {
    struct lane *lane = number < turn->lanes_length ? turn->lanes[number] : NULL;
    return lane != NULL && lane->armed ? lane : NULL;
}

/* One look at what is readable, for at most so many milliseconds.  Packets of the same socket are never
   taken twice, so that what Python is told comes before what follows it. */
int32_t fastpath_turn(struct turn *turn, int32_t epoll, int32_t milliseconds) {
    struct epoll_event ready[READY];
    struct packet room[STAGE];
    struct packet *packets[STAGE];
    struct timespec now;
    int found = epoll_wait(epoll, ready, READY, milliseconds);
    int failed = found < 0 && errno != EINTR;
    clock_gettime(CLOCK_MONOTONIC, &now);
    turn->now = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    turn->handled = turn->count = turn->kept = 0;
    if (found < 0) return failed ? -1 : 0;
    int next = 0;
    while (next < found && turn->kept <= KEPT - STAGE) {
        int count = 0;
        for (; next < found && count < STAGE; next++) {
            turn->handled++;
            struct lane *lane = lane_of(turn, ready[next].data.fd);
            if (lane == NULL) {
                tell(turn, ready[next].data.fd, SOCKET);
                continue;
            }
            struct packet *packet = &room[count];
            packet->lane = lane;
            packet->number = ready[next].data.fd;
            packets[count++] = packet;
        }
        count = pass(receive, turn, packets, count);
        count = pass(open_packet, turn, packets, count);
        count = pass(seal, turn, packets, count);
        for (int i = 0; i < count; i++)
            if (send(packets[i]->lane->sink, packets[i]->data, packets[i]->out_length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                packets[i]->lane->unsent++;
    }
    return turn->count;
}
