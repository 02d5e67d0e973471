# SPDX-License-Identifier: BSD-3-Clause
"""Other tools on a capture: for each TCP and UDP flow, the packets there and back. One-sidedness is all that they tell
of a flow's way."""
import csv
import os
import re
import shutil
import subprocess
import tempfile

PROTOCOLS = {'6': 'tcp', '17': 'udp', 'TCP': 'tcp', 'UDP': 'udp'}


def out(*argv):
    return subprocess.run(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def argus(capture, work):
    subprocess.run(['argus', '-r', capture, '-w', f'{work}/argus'], stderr=subprocess.DEVNULL)
    fields = ['proto', 'saddr', 'sport', 'daddr', 'dport', 'spkts', 'dpkts']
    for row in csv.reader(out('ra', '-nn', '-L0', '-c', ',', '-r', f'{work}/argus', '-s', *fields).splitlines()[1:]):
        yield row


def nfdump(capture, work):
    os.mkdir(f'{work}/nfdump')
    out('nfpcapd', '-r', capture, '-w', f'{work}/nfdump')
    for row in csv.DictReader(out('nfdump', '-R', f'{work}/nfdump', '-B', '-o', 'csv').splitlines()):
        yield [row.get(key) for key in ('pr', 'sa', 'sp', 'da', 'dp', 'ipkt', 'opkt')]


def tshark(capture, _):
    proto = None
    for line in out('tshark', '-n', '-r', capture, '-q', '-z', 'conv,tcp', '-z', 'conv,udp').splitlines():
        if heading := re.match('(TCP|UDP) Conversations', line):
            proto = heading[1]
        elif found := re.match(r'(\S+):(\d+) +<-> (\S+):(\d+) +(\d+) .*?bytes +(\d+) ', line):
            a, ap, b, bp, back, there = found.groups()
            yield proto, a, ap, b, bp, there, back


def ndpi(capture, work):
    out('ndpiReader', '-i', capture, '-C', f'{work}/ndpi.csv')
    with open(f'{work}/ndpi.csv', newline='') as f:
        for row in csv.DictReader(f):
            yield [row[key] for key in ('protocol', 'src_ip', 'src_port', 'dst_ip', 'dst_port', 'c_to_s_pkts',
                                        's_to_c_pkts')]


TOOLS = {'argus': (argus, ('argus', 'ra')), 'nfdump': (nfdump, ('nfpcapd', 'nfdump')), 'tshark': (tshark, ('tshark',)),
         'ndpiReader': (ndpi, ('ndpiReader',))}


def installed():
    return [name for name, (_, programs) in TOOLS.items() if all(map(shutil.which, programs))]


def flows(tool, capture):
    """{(proto, src, sport, dst, dport): [packets there, back]}, summed where a tool has several records of a flow."""
    found = {}
    with tempfile.TemporaryDirectory() as work:
        for proto, src, sport, dst, dport, there, back in TOOLS[tool][0](str(capture), work):
            if proto not in PROTOCOLS or not (sport or '').isdigit() or not (dport or '').isdigit():
                continue
            proto, there, back = PROTOCOLS[proto], int(there), int(back)
            key, mirror = (proto, src, int(sport), dst, int(dport)), (proto, dst, int(dport), src, int(sport))
            if mirror in found:
                key, there, back = mirror, back, there
            entry = found.setdefault(key, [0, 0])
            entry[0] += there
            entry[1] += back
    return found
