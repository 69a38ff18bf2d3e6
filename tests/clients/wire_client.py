#!/usr/bin/env python3
"""A client of a Quick Connect relay, written from qc-wire(7) alone, with nothing but Python's own library.

It is here to prove the page: whatever it does, the page says, and no code of the product is used. It can send
the lines of its standard input as messages, read a stream and acknowledge it, and greet with versions of your
choice. What it learns it prints as JSON, one object a line.

    wire_client.py --relay 127.0.0.1:7443 --roots roots.pem --chain chain.pem --key key.pem \\
        --node edge-a.site-a.acme  send acme/lab-results --class internal --epoch 1795000000000
"""

import argparse
import json
import socket
import ssl
import struct
import sys
import time

# FRAME: kinds, limits
HELLO, WELCOME, CLOSE, HEARTBEAT, OPEN, OPEN_ACK, REFUSE, BATCH, ACK = range(1, 10)
SUBSCRIBE, SUBSCRIBE_ACK, STATUS, RECEIVED, CALL, CALL_DATA, CALL_CREDIT, CALL_END = range(10, 18)
FRAME = struct.Struct("<IBBHIIII")
MAX_GREETING, MAX_CONTROL, MAX_CALL_DATA, MAX_BATCH = 4096, 131072, 16384, 17367040
MORE = 1
PIECE = 65536

# RECORD
RECORD = struct.Struct("<IBBHIIQQQIIQQ16sIIB3s12s")
MESSAGE, LAST_PART, NORMAL = 1, 1, 2
KEYS = ["", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema"]

VERSION = 1
HEARTBEAT_MS = 10_000
WINDOW = 4 << 20
REPORT_AFTER = 4096


class Ended(Exception):
    """The session or a channel ended, with the code and the reason that the peer gave."""

    def __init__(self, what, code, reason):
        super().__init__(f"{what}: QC{code:04}: {reason}")
        self.what, self.code, self.reason = what, f"QC{code:04}", reason


# --- CRC32C: the Castagnoli polynomial, reflected, begun and ended with all ones -----------------------------


def _table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


CRC_TABLE = list(_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


# --- protocol buffers: varints, and fields with a length -----------------------------------------------------


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def message(*fields):
    """Fields as (number, int or text or bytes); zero and empty ones are left out."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value) if value else b""
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data if data else b""
    return out


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """The last value of every field; what is absent is 0 or empty to the caller."""
    found, at = {}, 0
    while at < len(data):
        tag, at = read_varint(data, at)
        if tag & 7 == 0:
            found[tag >> 3], at = read_varint(data, at)
        elif tag & 7 == 2:
            length, at = read_varint(data, at)
            found[tag >> 3] = data[at : at + length]
            at += length
        elif tag & 7 == 1:
            at += 8
        elif tag & 7 == 5:
            at += 4
        else:
            raise ValueError(f"wire type {tag & 7}")
    return found


# --- records --------------------------------------------------------------------------------------------------


def head(attributes):
    out = struct.pack("<H", len(attributes))
    for name, value in attributes.items():
        key = KEYS.index(name) if name in KEYS else 0
        out += bytes([key])
        if key == 0:
            out += bytes([len(name)]) + name.encode()
        data = value.encode()
        out += bytes([0]) + struct.pack("<H", len(data)) + data
    return out


def read_head(data):
    (count,) = struct.unpack_from("<H", data)
    at, attributes = 2, {}
    for _ in range(count):
        key, at = data[at], at + 1
        if key:
            name = KEYS[key]
        else:
            length, at = data[at], at + 1
            name, at = data[at : at + length].decode(), at + length
        kind, length = data[at], struct.unpack_from("<H", data, at + 1)[0]
        value, at = data[at + 3 : at + 3 + length], at + 3 + length
        attributes[name] = [
            lambda: value.decode(),
            lambda: struct.unpack("<i", value)[0],
            lambda: value != b"\0",
        ][kind]()
    return attributes


def record(channel, epoch, seq, attributes, body):
    first = head(attributes)
    length = RECORD.size + len(first) + len(body)
    now = int(time.time() * 1000)
    fixed = RECORD.pack(length, MESSAGE, NORMAL, LAST_PART, 0, channel, epoch, seq, now, 0, 0, 0, 0,
                        bytes(16), len(first), len(body), 0, bytes(3), bytes(12))
    return fixed + first + body


def read_records(data, count):
    at = 0
    for _ in range(count):
        fixed = RECORD.unpack_from(data, at)
        length, epoch, seq, in_head, in_body = fixed[0], fixed[6], fixed[7], fixed[14], fixed[15]
        begin = at + RECORD.size
        yield epoch, seq, read_head(data[begin : begin + in_head]), data[begin + in_head : begin + in_head + in_body]
        at += length
    assert at == len(data), "a batch is its records and nothing else"


# --- session --------------------------------------------------------------------------------------------------


class Session:
    """One link, dialled and greeted."""

    def __init__(self, args):
        self.node = args.node
        self.max = MAX_GREETING
        self.began = time.monotonic()
        self.channels = 1  # odd numbers are the dialer's
        self.arrived = self.reported = 0
        self.pieces = {}
        self.last_beat = (0, 0.0)
        self.next_beat = time.monotonic() + HEARTBEAT_MS / 1000
        self.tls = dial(args)
        self.buffer = b""
        oldest, newest = args.versions
        self.send(HELLO, 0, message((1, oldest), (2, newest), (3, 0), (4, args.node), (5, "wire-client/1"),
                                    (6, wall()), (7, HEARTBEAT_MS), (8, WINDOW)))
        kind, _, _, payload = self.next_frame()
        if kind != WELCOME:
            raise ValueError(f"frame of kind {kind} instead of Welcome")
        answer = fields(payload)
        self.peer = answer[4].decode()
        if self.peer != self.name_in_certificate(args.trust_domain):
            raise ValueError(f"{self.peer} is not the name in the certificate")
        self.version, self.window = answer[1], answer[8]
        self.max = None

    def name_in_certificate(self, trust_domain):
        names = [name for kind, name in self.tls.getpeercert()["subjectAltName"] if kind == "DNS"]
        mine = [name for name in names if name.endswith("." + trust_domain)]
        return mine[0].removesuffix("." + trust_domain)

    def new_channel(self):
        number = self.channels
        self.channels += 2
        return number

    def micros(self):
        return int((time.monotonic() - self.began) * 1e6)

    # writing

    def send(self, kind, channel, payload, lane=0, count=0, flags=0):
        first = FRAME.pack(len(payload), kind, flags, lane, channel, count, crc32c(payload), 0)[:-4]
        self.tls.sendall(first + struct.pack("<I", crc32c(first)) + payload)

    def send_batch(self, channel, payload, count):
        while len(payload) > PIECE:
            self.send(BATCH, channel, payload[:PIECE], lane=NORMAL, flags=MORE)
            payload = payload[PIECE:]
        self.send(BATCH, channel, payload, lane=NORMAL, count=count)

    def beat(self):
        sent, when = self.last_beat
        held = int((time.monotonic() - when) * 1e6) if sent else 0
        self.send(HEARTBEAT, 0, message((1, wall()), (2, self.micros()), (3, sent), (4, held)))
        self.send(STATUS, 0, message((1, "wire-client/1"), (4, wall())))
        self.next_beat = time.monotonic() + HEARTBEAT_MS / 1000

    def report(self):
        if self.reported < self.arrived:
            self.reported = self.arrived
            self.send(RECEIVED, 0, message((1, self.arrived)))

    # reading

    def next_frame(self):
        """The next frame that the session does not answer by itself: (kind, channel, count, payload)."""
        while True:
            kind, flags, channel, count, payload = self.read_frame()
            if kind == CLOSE:
                why = fields(payload)
                raise Ended("close", why.get(1, 0), why.get(2, b"").decode())
            if kind == HEARTBEAT:
                self.last_beat = (fields(payload).get(2, 0), time.monotonic())
            elif kind in (BATCH, CALL_DATA):
                self.arrived += len(payload)
                if self.arrived - self.reported >= REPORT_AFTER:
                    self.report()
                if kind == CALL_DATA:
                    continue
                whole = self.pieces.pop(channel, b"") + payload
                if flags & MORE:
                    self.pieces[channel] = whole
                else:
                    return kind, channel, count, whole
            elif kind not in (STATUS, RECEIVED):
                return kind, channel, count, payload

    def read_frame(self):
        first = self.read(FRAME.size)
        length, kind, flags, _lane, channel, count, in_payload, in_header = FRAME.unpack(first)
        if crc32c(first[:-4]) != in_header:
            raise ValueError("a header is damaged")
        limit = {BATCH: MAX_BATCH, CALL_DATA: MAX_CALL_DATA}.get(kind, MAX_CONTROL)
        if length > (self.max or limit):
            raise ValueError(f"a frame of {length} bytes")
        payload = self.read(length)
        if crc32c(payload) != in_payload:
            raise ValueError("a payload is damaged")
        return kind, flags, channel, count, payload

    def read(self, length):
        while len(self.buffer) < length:
            wait = self.next_beat - time.monotonic()
            if wait <= 0:
                self.beat()
                continue
            self.tls.settimeout(wait)
            try:
                more = self.tls.recv(65536)
            except TimeoutError:
                continue
            finally:
                self.tls.settimeout(None)
            if not more:
                raise Ended("cut", 2215, "the connection was cut without a farewell")
            self.buffer += more
        data, self.buffer = self.buffer[:length], self.buffer[length:]
        return data

    def bye(self):
        self.send(CLOSE, 0, message((1, 2200), (2, "done")))
        self.tls.close()


def dial(args):
    host, port = args.relay.rsplit(":", 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the node's name counts, not the host's
    context.load_verify_locations(args.roots)
    context.load_cert_chain(args.chain, args.key)
    context.set_alpn_protocols(["qc/1"])
    tls = context.wrap_socket(socket.create_connection((host, int(port)), timeout=10))
    if tls.selected_alpn_protocol() != "qc/1":
        raise ValueError("not a relay")
    return tls


def wall():
    return int(time.time() * 1000)


# --- what it can do -------------------------------------------------------------------------------------------


def send(session, args):
    """Each line of the input is a message: seq and id are its number."""
    bodies = [line.encode() for line in sys.stdin.read().splitlines()]
    channel = session.new_channel()
    session.send(OPEN, channel, message((1, 1), (2, args.stream), (3, NORMAL), (4, args.epoch), (5, 1), (6, len(bodies))))
    answer = fields(wait_for(session, OPEN_ACK, channel))
    epoch, seq, window = answer.get(1, 0), answer.get(2, 0), min(answer.get(3, 0), session.window)
    say(event="open", epoch=epoch, seq=seq, window=window)
    sent = acked = seq if epoch == args.epoch else 0
    unacknowledged = {}
    while acked < len(bodies):
        while sent < len(bodies):
            seq, body = sent + 1, bodies[sent]
            attributes = {"id": f"{args.prefix}{seq}", "source": "urn:wire-client", "type": "org.example.line",
                          "dataclassification": args.data_class}
            batch = record(channel, args.epoch, seq, attributes, body)
            in_use = sum(unacknowledged.values())
            if in_use and in_use + len(batch) > window:
                break
            session.send_batch(channel, batch, 1)
            unacknowledged[seq], sent = len(batch), seq
            if seq == args.cut_after:
                # as a power cut would: nobody has heard whether this one arrived
                say(event="cut", sent=sent, acked=acked)
                return
        acked = fields(wait_for(session, ACK, channel)).get(2, 0)
        unacknowledged = {seq: size for seq, size in unacknowledged.items() if seq > acked}
        say(event="acked", seq=acked)
    session.bye()


def read(session, args):
    """Subscribes, prints each message, and acknowledges it when it is printed: standard output is its disk."""
    subscription = session.new_channel()
    session.send(SUBSCRIBE, subscription, message((1, args.consumer), (2, args.stream), (3, 1)))
    wait_for(session, SUBSCRIBE_ACK, subscription)
    left = args.count
    while left > 0:
        kind, channel, count, payload = session.next_frame()
        if kind == OPEN:
            opened = fields(payload)
            say(event="open", kind=opened[1], stream=opened[2].decode(), consumer=opened[7].decode())
            session.send(OPEN_ACK, channel, message((1, 0), (2, 0), (3, WINDOW)))
        elif kind == BATCH:
            for epoch, seq, attributes, body in read_records(payload, count):
                say(event="message", seq=seq, body=body.decode(), attributes=attributes)
                left -= 1
            session.send(ACK, channel, message((1, epoch), (2, seq)))
            session.report()
        elif kind == REFUSE:
            refused(payload)
    session.bye()


def wait_for(session, wanted, channel):
    while True:
        kind, at, _, payload = session.next_frame()
        if kind == REFUSE and at == channel:
            refused(payload)
        if kind == wanted and at == channel:
            return payload


def refused(payload):
    why = fields(payload)
    raise Ended("refuse", why.get(1, 0), why.get(2, b"").decode())


def say(**what):
    print(json.dumps(what), flush=True)


def versions(text):
    oldest, _, newest = text.partition("-")
    return int(oldest), int(newest or oldest)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    for name in ("relay", "roots", "chain", "key", "node"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--trust-domain", default="qc.internal")
    parser.add_argument("--versions", type=versions, default=(VERSION, VERSION), help="such as 1 or 3-5")
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("greet", help="greet, say who is there, and part")
    verb.set_defaults(run=lambda session, _: session.bye())
    verb = verbs.add_parser("send", help="send the lines of the standard input as messages")
    verb.add_argument("stream")
    verb.add_argument("--class", dest="data_class", required=True)
    verb.add_argument("--epoch", type=int, required=True)
    verb.add_argument("--prefix", default="line-", help="what ids begin with")
    verb.add_argument("--cut-after", type=int, help="drop the connection right behind this message")
    verb.set_defaults(run=send)
    verb = verbs.add_parser("read", help="subscribe, print and acknowledge this many messages")
    verb.add_argument("stream")
    verb.add_argument("--consumer", required=True)
    verb.add_argument("--count", type=int, required=True)
    verb.set_defaults(run=read)
    args = parser.parse_args()
    try:
        session = Session(args)
        say(event="welcome", peer=session.peer, version=session.version)
        args.run(session, args)
    except Ended as why:
        say(event=why.what, code=why.code, reason=why.reason)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
