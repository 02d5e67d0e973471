# SPDX-License-Identifier: BSD-3-Clause
"""
ESP packets with random keys, made by Scapy (argument: the folder to write to; an optional second one: the seed): each
cipher in tunnel and transport mode, over both families, plain and in UDP. A line of JSON each: the captures (`good`
without the packet whose ICV is wrong), the association as Wireshark's esp_sa has it, and the IP headers to be found.
"""
import json
import pathlib
import random
import sys

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.utils import wrpcap

GCM = 'AES-GCM with 16 octet ICV [RFC4106]'
CIPHERS = (  # Scapy's, Wireshark's, lengths of key, salt
    ('AES-CBC', 'AES-CBC [RFC3602]', (16, 24, 32), 0), ('AES-CTR', 'AES-CTR [RFC3686]', (16, 24, 32), 4),
    ('AES-GCM', GCM, (16, 24, 32), 4), ('3DES', 'TripleDES-CBC [RFC2451]', (24,), 0), ('NULL', 'NULL', (0,), 0))
AUTHS = (('HMAC-SHA1-96', 'HMAC-SHA-1-96 [RFC2404]', 20), ('HMAC-MD5-96', 'HMAC-MD5-96 [RFC2403]', 16),
         ('SHA2-256-128', 'HMAC-SHA-256-128 [RFC4868]', 32), ('SHA2-384-192', 'HMAC-SHA-384-192 [RFC4868]', 48),
         ('SHA2-512-256', 'HMAC-SHA-512-256 [RFC4868]', 64), ('NULL', 'NULL', 0))
SRC, DST = {4: '192.0.2.1', 6: '2001:db8::1'}, {4: '198.51.100.9', 6: '2001:db8:1::9'}
INNER = {4: ('10.1.0.1', '10.2.0.2'), 6: ('fd00:1::1', 'fd00:2::2')}


def header(family, pair):
    return IP(src=pair[0], dst=pair[1]) if family == 4 else IPv6(src=pair[0], dst=pair[1])


def payload(r, family):
    data = r.randbytes(r.randrange(200))
    return r.choice((TCP(sport=1234, dport=80), UDP(sport=1234, dport=53), ICMP())[:3 if family == 4 else 2]) / data


def text(packet):
    return f'{packet.src}>{packet.dst}:{packet.proto if packet.version == 4 else packet.nh}'


def protect(r, sa, family, tunnel):
    """The bytes of one packet, and the headers in it."""
    if tunnel:
        inner = r.choice((4, 6)) if tunnel == 'mixed' else family
        plain = header(inner, INNER[inner]) / payload(r, inner)
    else:
        plain = header(family, (SRC[family], DST[family])) / payload(r, family)
    plain = plain.__class__(bytes(plain))
    out = bytearray(bytes(sa.encrypt(plain)))
    if sa.nat_t_header:  # Scapy says 8
        out[24:26] = (len(out) - 20).to_bytes(2, 'big')
    return bytes(out), [text((IP if family == 4 else IPv6)(bytes(out))), text(plain)]


def case(r, cipher, auth, key_len, family, tunnel, udp):
    key, auth_key = r.randbytes(key_len + cipher[3]), r.randbytes(auth[2])
    spi = r.randrange(256, 1 << 32)
    sa = SecurityAssociation(ESP, spi=spi, crypt_algo=cipher[0], crypt_key=key or None, auth_algo=auth[0],
                             auth_key=auth_key or None, nat_t_header=UDP(sport=4500, dport=4500) if udp else None,
                             tunnel_header=header(family, (SRC[family], DST[family])) if tunnel else None)
    packets, want = zip(*(protect(r, sa, family, tunnel) for _ in range(8)))
    sealed = cipher[0] == 'AES-GCM' or auth[0] != 'NULL'
    broken = packets[0][:-1] + bytes([packets[0][-1] ^ 1])
    everything = list(packets) + ([broken] if sealed else [])
    line = (f'IPv{family}', r.choice((SRC[family], '*')), r.choice((DST[family], '*')), r.choice((f'0x{spi:08x}', '*')),
            cipher[1], '0x' + key.hex() if key else '', auth[1], '0x' + auth_key.hex() if auth_key else '')
    return everything, packets, list(want) + ([want[0][:1]] if sealed else []), ','.join(f'"{f}"' for f in line)


def combinations():
    for cipher in CIPHERS:
        for key_len in cipher[2]:
            for auth in AUTHS if cipher[0] != 'AES-GCM' else (AUTHS[-1],):
                if cipher[0] != 'NULL' or auth[0] != 'NULL':
                    yield cipher, auth, key_len


def main(folder, seed=None):
    seed = int(seed or random.SystemRandom().randrange(1 << 32))
    r = random.Random(seed)
    ways = [(family, tunnel, udp) for family in (4, 6) for tunnel in ('', 'same', 'mixed') for udp in (False, True)
            if family == 4 or not udp]  # Scapy knows RFC 3948 over IPv4 alone
    for i, (cipher, auth, key_len) in enumerate(combinations()):
        family, tunnel, udp = ways[i % len(ways)]
        everything, good, want, sa = case(r, cipher, auth, key_len, family, tunnel, udp)
        paths = [str(pathlib.Path(folder) / f'{i}{kind}.pcap') for kind in ('', '-good')]
        for path, packets in zip(paths, (everything, good)):
            wrpcap(path, packets, linktype=101)
        name = f'{cipher[0]}-{key_len * 8} {auth[0]}, {tunnel or "transport"}, IPv{family}{", UDP" if udp else ""}'
        print(json.dumps({'name': name, 'seed': seed, 'capture': paths[0], 'good': paths[1], 'sa': sa, 'want': want,
                          'tunnel': bool(tunnel)}))


if __name__ == '__main__':
    main(*sys.argv[1:])
