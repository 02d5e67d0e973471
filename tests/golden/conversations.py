# SPDX-License-Identifier: BSD-3-Clause
"""`analyze --no-scenario` on every capture of ../shared (FWDLAB_SHARED): packets, bytes and interfaces are those of
capinfos, TCP and UDP conversations and their packets each way are those of `tshark -z conv`, and in 15-tcp and 01-mix
retransmissions, segments out of order and initial round trips are tshark's. Each remaining difference stands in
conversations.tsv with its reason. Captures have copies of a packet joined; tshark counts each, so a conversation's
packets here are counted with their copies."""
import collections
import concurrent.futures
import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import golden
import tcp

TCP_FOLDERS = ('15-tcp', '01-mix')
ROW = re.compile(r'(\S+):(\d+) +<-> (\S+):(\d+) +(\d+) .*?(?:bytes|kB|MB) +(\d+) ')


def said(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode(errors='replace')


def key(proto, a, b):
    """One conversation, and which of its ends comes first."""
    return (proto, *sorted((a, b)))


def tshark_conversations(text):
    """(proto, end, end) → [packets there, packets back]; connections of the same ports together."""
    found, proto = collections.defaultdict(lambda: [0, 0]), None
    for line in text.splitlines():
        if line.endswith('Conversations'):
            proto = line.split()[0].lower()
        m = ROW.match(line)
        if not m:
            continue
        a, aport, b, bport, back, there = m.groups()
        a, b = (a, int(aport)), (b, int(bport))
        k = key(proto, a, b)
        turned = k[1] != a
        found[k][turned] += int(there)
        found[k][not turned] += int(back)
    return dict(found)


def our_conversations(path):
    found, pieces = collections.defaultdict(lambda: [0, 0]), collections.Counter()
    with open(path, newline='') as f:
        for r in csv.DictReader(f):
            if r['proto'] not in ('tcp', 'udp'):
                continue
            a, b = (r['src'], int(r['sport'])), (r['dst'], int(r['dport']))
            k = key(r['proto'], a, b)
            turned = k[1] != a
            found[k][turned] += int(r['packets_there'])
            found[k][not turned] += int(r['packets_back'])
            pieces[k] += int(r['fragments'])
    return dict(found), pieces
