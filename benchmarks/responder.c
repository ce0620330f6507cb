/* The devices of the benchmarks: answers SNMP requests (v1, v2c) at every address 127.x.y.z, as fast as loopback lets it.
 *
 *   gcc -O2 -o responder responder.c && ./responder PORT INTERFACES [SILENT_EVERY [ROUND_TRIP_MS]]
 *
 * There is no table of objects: what a value is follows from its OID. sysUpTime is TimeTicks; ifName is "Gi0/N"; the octet
 * counters of ifXTable are Counter64, all else in ifTable and ifXTable Counter32; any other OID is a Gauge32. Errors and discards are
 * 0, but for each 11th interface, where they move: of 670 interfaces of real devices 613 had none. An interface past INTERFACES is
 * noSuchInstance. SILENT_EVERY n: each n-th address never answers. ROUND_TRIP_MS n: each address answers after a
 * time of its own, 1 to n ms (at most 255), give or take one. Ends with the process that started it.
 * GETNEXT and GETBULK are answered in ifName's column, which the agent walks in a device's first poll; nowhere else.
 * Linux. Source: RFC 3416 §3 and §4.2.3, RFC 2863 §6.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { AT_ONCE = 64, MOST = 8192, HEADROOM = 96, WHEEL = 256 };

struct span { const uint8_t *at, *end; };

/* An answer that is not sent yet. */
struct late {
    struct late *next;
    struct sockaddr_in peer;
    size_t octets, of_control;
    uint8_t control[64], text[];
};

static struct late *wheel[WHEEL]; /* by the millisecond in which they are due */
static long now_ms, waiting;

static int interfaces, silent_every, round_trip_ms;
static uint64_t uptime; /* in hundredths of a second */

static const uint8_t SYS_UP_TIME[] = {0x2b, 6, 1, 2, 1, 1, 3, 0};
static const uint8_t IF_ENTRY[] = {0x2b, 6, 1, 2, 1, 2, 2, 1};
static const uint8_t IF_X_ENTRY[] = {0x2b, 6, 1, 2, 1, 31, 1, 1, 1};

/* The contents of the value at s->at, which is moved behind it; {NULL} where it has not this tag (0: any) or does not fit. */
static struct span take(struct span *s, int tag)
{
    struct span none = {0}, in;
    const uint8_t *p = s->at;
    size_t length, n;
    if (s->end - p < 2 || (tag && *p != tag)) return none;
    length = p[1], p += 2;
    if (length & 0x80) {
        if ((n = length & 0x7f) > 4 || (size_t)(s->end - p) < n) return none;
        for (length = 0; n; n--) length = length << 8 | *p++;
    }
    if ((size_t)(s->end - p) < length) return none;
    in.at = p, in.end = s->at = p + length;
    return in;
}

static uint8_t *put_length(uint8_t *to, size_t length)
{
    if (length >= 0x100) *to++ = 0x82, *to++ = length >> 8;
    else if (length >= 0x80) *to++ = 0x81;
    *to++ = length;
    return to;
}

static uint8_t *put_number(uint8_t *to, int tag, uint64_t number)
{
    int octets = 1;
    while (octets < 9 && number >> (8 * octets - 1)) octets++; /* a ninth, of zeros, where the first bit is set */
    *to++ = tag, *to++ = octets;
    while (octets--) *to++ = octets == 8 ? 0 : number >> 8 * octets;
    return to;
}

/* What stands behind the prefix: the column, and the index as one number; 0 where the OID is not below it. */
static int below(struct span oid, const uint8_t *prefix, size_t size, int *index)
{
    const uint8_t *p = oid.at + size;
    int column;
    if ((size_t)(oid.end - oid.at) < size + 2 || memcmp(oid.at, prefix, size)) return 0;
    for (column = *p++, *index = 0; p < oid.end; p++) *index = *index << 7 | (*p & 0x7f);
    return column;
}

static uint8_t *put_value(uint8_t *to, struct span oid, uint32_t device)
{
    int index, column;
    uint64_t moving = uptime * 31 + device * 131;
    if (oid.end - oid.at == sizeof SYS_UP_TIME && !memcmp(oid.at, SYS_UP_TIME, sizeof SYS_UP_TIME))
        return put_number(to, 0x43, uptime);
    if ((column = below(oid, IF_X_ENTRY, sizeof IF_X_ENTRY, &index))) {
        if (index < 1 || index > interfaces) goto missing;
        if (column == 1) {
            int length = sprintf((char *)to + 2, "Gi0/%d", index);
            to[0] = 4, to[1] = length;
            return to + 2 + length;
        }
        return put_number(to, column == 6 || column == 10 ? 0x46 : 0x41, (1ull << 40) * index + moving * (100 + index));
    }
    if ((column = below(oid, IF_ENTRY, sizeof IF_ENTRY, &index))) {
        if (index < 1 || index > interfaces) goto missing;
        if ((column == 13 || column == 14 || column == 19 || column == 20) && index % 11) return put_number(to, 0x41, 0);
        return put_number(to, 0x41, (uint32_t)(column * 1000 + index + moving / 4096));
    }
    return put_number(to, 0x42, 20000 + oid.end[-1] + moving % 997);
missing:
    *to++ = 0x81, *to++ = 0;
    return to;
}

static uint8_t *put_varbind(uint8_t *to, struct span oid, uint32_t device)
{
    uint8_t value[32], *value_end = put_value(value, oid, device);
    size_t of_oid = oid.end - oid.at, of_value = value_end - value;
    *to++ = 0x30, to = put_length(to, 2 + of_oid + of_value);
    *to++ = 6, *to++ = of_oid;
    memcpy(to, oid.at, of_oid), to += of_oid;
    memcpy(to, value, of_value);
    return to + of_value;
}

/* Up to so many rows of ifName behind this OID, and the object behind the last one; NULL if it is in another column. */
static uint8_t *put_rows(uint8_t *to, struct span oid, int most, uint32_t device)
{
    uint8_t name[sizeof IF_X_ENTRY + 3];
    int index = 0;
    if (oid.end - oid.at < (long)sizeof IF_X_ENTRY + 1 || memcmp(oid.at, IF_X_ENTRY, sizeof IF_X_ENTRY)) return NULL;
    if (oid.at[sizeof IF_X_ENTRY] != 1) return NULL;
    below(oid, IF_X_ENTRY, sizeof IF_X_ENTRY, &index);
    memcpy(name, IF_X_ENTRY, sizeof IF_X_ENTRY);
    for (; most > 0 && index <= interfaces; most--) {
        uint8_t *n = name + sizeof IF_X_ENTRY;
        int last = ++index > interfaces, row = last ? 1 : index;
        *n++ = last ? 2 : 1;
        if (row > 127) *n++ = 0x80 | row >> 7;
        *n++ = row & 0x7f;
        to = put_varbind(to, (struct span){name, n}, device);
    }
    return to;
}

/* The answer to one datagram, written so that it ends where it ends in `out`; its beginning, or NULL: there is none. */
static uint8_t *answer(struct span in, uint8_t *out, uint8_t **end, uint32_t device)
{
    struct span message = take(&in, 0x30), version = take(&message, 2), community = take(&message, 4);
    int type = message.at < message.end ? *message.at : 0;
    struct span pdu = take(&message, type), id = take(&pdu, 2), status = take(&pdu, 2), place = take(&pdu, 2);
    struct span list = take(&pdu, 0x30);
    uint8_t *body = out + HEADROOM, *to = body, head[HEADROOM], *h = head;
    size_t octets, of_id = id.end - id.at, of_community = community.end - community.at;
    if (!version.at || !community.at || !status.at || !place.at || !list.at || of_id > 8 || of_community > 40) return NULL;
    if (type != 0xa0 && type != 0xa1 && type != 0xa5) return NULL;
    while (list.at < list.end) {
        struct span varbind = take(&list, 0x30), oid = take(&varbind, 6);
        size_t of_oid = oid.end - oid.at;
        if (!oid.at || of_oid < 2 || of_oid > 64 || to - body > MOST - 2048) return NULL;
        if (type == 0xa0) to = put_varbind(to, oid, device);
        else if (!(to = put_rows(to, oid, type == 0xa1 ? 1 : place.end - place.at == 1 ? *place.at & 0x1f : 0x1f, device))) return NULL;
    }
    octets = to - body;
    *end = to;
    /* From the inside out: the list's header, the PDU's three numbers and header, the message's. */
    uint8_t numbers[32], *n = numbers, length[4];
    *n++ = 2, *n++ = of_id, memcpy(n, id.at, of_id), n += of_id;
    memcpy(n, "\x02\x01\x00\x02\x01\x00\x30", 7), n += 7, n = put_length(n, octets);
    size_t of_pdu = n - numbers + octets, of_length = put_length(length, of_pdu) - length;
    size_t of_version = version.end - version.at;
    *h++ = 0x30;
    h = put_length(h, 2 + of_version + 2 + of_community + 1 + of_length + of_pdu);
    *h++ = 2, *h++ = of_version, memcpy(h, version.at, of_version), h += of_version;
    *h++ = 4, *h++ = of_community, memcpy(h, community.at, of_community), h += of_community;
    *h++ = 0xa2, memcpy(h, length, of_length), h += of_length;
    memcpy(h, numbers, n - numbers), h += n - numbers;
    memcpy(body - (h - head), head, h - head);
    return body - (h - head);
}

static void hold(struct msghdr *message, uint32_t device)
{
    struct late *late = malloc(sizeof *late + message->msg_iov->iov_len);
    struct late **due = &wheel[(now_ms + 1 + device * 2654435761u % round_trip_ms) % WHEEL];
    if (!late) return;
    late->peer = *(struct sockaddr_in *)message->msg_name;
    late->octets = message->msg_iov->iov_len, late->of_control = message->msg_controllen;
    memcpy(late->control, message->msg_control, late->of_control);
    memcpy(late->text, message->msg_iov->iov_base, late->octets);
    late->next = *due, *due = late, waiting++;
}

/* Send what has become due since the last time. */
static void release(int s, long until_ms)
{
    struct late *late;
    for (; now_ms < until_ms; now_ms++)
        while ((late = wheel[(now_ms + 1) % WHEEL])) {
            struct iovec text = {late->text, late->octets};
            struct msghdr message = {&late->peer, sizeof late->peer, &text, 1, late->control, late->of_control, 0};
            sendmsg(s, &message, 0);
            wheel[(now_ms + 1) % WHEEL] = late->next, waiting--, free(late);
        }
}

int main(int argc, char **argv)
{
    static uint8_t in[AT_ONCE][MOST], out[AT_ONCE][MOST + HEADROOM], in_control[AT_ONCE][64], out_control[AT_ONCE][64];
    static struct sockaddr_in peers[AT_ONCE];
    static struct iovec in_vectors[AT_ONCE], out_vectors[AT_ONCE];
    static struct mmsghdr asked[AT_ONCE], answers[AT_ONCE];
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct timespec now;
    int one = 1, octets = 32 << 20, s = socket(AF_INET, SOCK_DGRAM, 0);
    if (argc < 3) return fprintf(stderr, "usage: responder PORT INTERFACES [SILENT_EVERY [ROUND_TRIP_MS]]\n"), 2;
    address.sin_port = htons(atoi(argv[1]));
    interfaces = atoi(argv[2]), silent_every = argc > 3 ? atoi(argv[3]) : 0;
    round_trip_ms = argc > 4 ? atoi(argv[4]) : 0;
    if (round_trip_ms < 0 || round_trip_ms >= WHEEL) return fprintf(stderr, "ROUND_TRIP_MS: 0 to %d\n", WHEEL - 1), 2;
    setsockopt(s, IPPROTO_IP, IP_PKTINFO, &one, sizeof one);
    setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
    if (setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &octets, sizeof octets))
        setsockopt(s, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
    if (bind(s, (void *)&address, sizeof address)) return perror("bind"), 1;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody needs it without the benchmark, which may take hours */
    for (;;) {
        int got, sent, count = 0;
        for (int i = 0; i < AT_ONCE; i++) {
            in_vectors[i] = (struct iovec){in[i], MOST};
            asked[i].msg_hdr = (struct msghdr){&peers[i], sizeof peers[i], &in_vectors[i], 1, in_control[i], 64, 0};
        }
        if (round_trip_ms) poll(&(struct pollfd){s, POLLIN, 0}, 1, waiting ? 1 : -1);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (waiting) release(s, now.tv_sec * 1000l + now.tv_nsec / 1000000);
        else now_ms = now.tv_sec * 1000l + now.tv_nsec / 1000000;
        if ((got = recvmmsg(s, asked, AT_ONCE, round_trip_ms ? MSG_DONTWAIT : MSG_WAITFORONE, NULL)) < 0) continue;
        clock_gettime(CLOCK_MONOTONIC, &now);
        uptime = now.tv_sec * 100ull + now.tv_nsec / 10000000;
        for (int i = 0; i < got; i++) {
            struct cmsghdr *control = CMSG_FIRSTHDR(&asked[i].msg_hdr);
            struct in_pktinfo *at = control ? (void *)CMSG_DATA(control) : NULL;
            uint32_t device = at ? ntohl(at->ipi_addr.s_addr) - 0x7f010000u : 0;
            uint8_t *end, *begin;
            if (!at || (silent_every && device % silent_every == silent_every - 1u)) continue;
            begin = answer((struct span){in[i], in[i] + asked[i].msg_len}, out[count], &end, device);
            if (!begin) continue;
            at->ipi_spec_dst = at->ipi_addr, at->ipi_ifindex = 0;
            memcpy(out_control[count], in_control[i], 64);
            out_vectors[count] = (struct iovec){begin, end - begin};
            answers[count].msg_hdr = (struct msghdr){
                &peers[i], sizeof peers[i], &out_vectors[count], 1, out_control[count], CMSG_SPACE(sizeof *at), 0};
            if (round_trip_ms) hold(&answers[count].msg_hdr, device);
            else count++;
        }
        for (int done = 0; done < count; done += sent > 0 ? sent : 1) sent = sendmmsg(s, answers + done, count - done, 0);
    }
}
