# SPDX-License-Identifier: BSD-3-Clause
"""Flow records as other tools read them: every field of the IPFIX file by tshark against the CSV, and what nfdump
counts after nfcapd took the file's messages over loopback, in a network namespace of their own."""
import csv
import datetime
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

import golden

SEED, N, PORT = 7, 2000, 9995
PROTOCOLS = {'tcp': 6, 'udp': 17, 'icmp': 1, 'icmpv6': 58}
ONCE = {'srcaddr': 'src', 'srcaddrv6': 'src', 'dstaddr': 'dst', 'dstaddrv6': 'dst', 'flow_id': 'id',
        'post_natsource_ipv4_address': 'nat_src', 'post_nat_source_ipv6_address': 'nat_src',
        'post_natdestination_ipv4_address': 'nat_dst', 'post_nat_destination_ipv6_address': 'nat_dst'}
PORTS = {'srcport': ('sport', 0), 'dstport': ('dport', 1), 'post_naptsource_transport_port': ('nat_sport', 0),
         'post_naptdestination_transport_port': ('nat_dport', 1)}
WAYS = {'packets': 'packets', 'octets': 'bytes', 'inputint': 'in', 'outputint': 'out'}  # two each: back, there


def nanoseconds(text):
    moment, fraction = text.replace(' UTC', '').split('.')
    when = datetime.datetime.strptime(moment, '%b %d, %Y %H:%M:%S').replace(tzinfo=datetime.timezone.utc)
    return int(when.timestamp()) * 10**9 + int(fraction.ljust(9, '0'))


def flows(ipfix):
    """Each flow's fields as lists of what tshark shows, interfaces by their names."""
    p = subprocess.run(['tshark', '-n', '-r', str(ipfix), '-T', 'pdml'], stdout=subprocess.PIPE,
                       stderr=subprocess.DEVNULL, check=True)
    names, out = {'0': ''}, []
    for node in xml.fromstring(p.stdout).iter('field'):
        if not node.get('show', '').startswith('Flow ') or node.get('name'):
            continue
        found = {}
        for f in node.iter('field'):
            found.setdefault(f.get('name').replace('cflow.', ''), []).append(f.get('show'))
        if 'if_name' in found:
            names[found['inputint'][0]] = bytes.fromhex(next(
                f.get('value') for f in node.iter('field') if f.get('name') == 'cflow.if_name')).decode()
        elif 'flow_id' in found:
            for port in 'inputint', 'outputint':
                found[port] = [names[n] for n in found[port]]
            out.append(found)
    malformed = b'_ws.malformed' in p.stdout or b'_ws.expert' in p.stdout
    return out, malformed


def expected(row):
    """What tshark should show of a row of the CSV."""
    proto = PROTOCOLS.get(row['proto']) or int(row['proto'])
    icmp = row['proto'] in ('icmp', 'icmpv6')
    want = {'protocol': [str(proto)], 'vlanid': [row['vlan'] or '0'], 'biflow_direction': ['1']}
    for field, (column, destination) in PORTS.items():
        if row[column]:
            want[field] = [row[column] if not icmp else str(int(row[column]) << 8) if destination else '0']
    for field, column in ONCE.items():
        if row[column] and field.endswith(('v6', 'v6_address')) == (':' in row[column]) or column == 'id':
            want[field] = [row[column]]
    for field, column in WAYS.items():
        want[field] = [row[f'{column}_back'], row[f'{column}_there']]
    return want


def wrong(row, flow):
    want = expected(row)
    faults = [f'{k}: {flow.get(k)} is not {v}' for k, v in want.items() if flow.get(k) != v]
    for name, column in ('abstimestart', 'first_ns'), ('abstimeend', 'last_ns'):
        ns, milli = map(nanoseconds, flow[name])
        if ns != int(row[column]) or milli != int(row[column]) // 10**6 * 10**6:
            faults.append(f'{name}: {flow[name]} is not {row[column]}')
    if not row['nat_src'] and any(k.startswith('post_') for k in flow):
        faults.append('translated, but it is not')
    return faults


def collect(ipfix, folder):
    """Within a namespace of its own: nfcapd gets each message as a datagram."""
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    collector = subprocess.Popen(['nfcapd', '-w', folder, '-p', str(PORT), '-b', '127.0.0.1', '-t', '3600'],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    port = f':{PORT:04X} '
    for _ in range(500):
        if port in pathlib.Path('/proc/net/udp').read_text():
            break
        time.sleep(0.02)
    data, at = pathlib.Path(ipfix).read_bytes(), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        while at < len(data):
            length = struct.unpack_from('>H', data, at + 2)[0]
            s.sendto(data[at:at + length], ('127.0.0.1', PORT))
            at += length
            while queued(port):
                time.sleep(0.001)
    collector.send_signal(signal.SIGTERM)
    return collector.wait()


def queued(port):
    """Bytes that wait in the collector's socket."""
    return any(int(line.split()[4].split(':')[1], 16) for line in
               pathlib.Path('/proc/net/udp').read_text().splitlines()[1:] if port in line)


def nfdump(tap, rows, ipfix, folder):
    if not all(map(shutil.which, ('nfcapd', 'nfdump', 'unshare', 'ip'))):
        tap.skip('nfdump', 'it is not installed')
        return
    if subprocess.run(['unshare', '-rn', 'true'], stderr=subprocess.DEVNULL).returncode:
        tap.skip('nfdump', 'no network namespace can be made')
        return
    subprocess.run(['unshare', '-rn', sys.executable, '-B', __file__, '--collect', str(ipfix), str(folder)], check=True)
    files = [str(p) for p in folder.glob('nfcapd.*')]
    text = subprocess.run(['nfdump', '-q', '-r', files[0], '-N', '-o', 'fmt:%pr|%pkt|%byt|%opkt|%obyt|%xsp|%flg'],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.decode()
    got = [[c.strip() for c in line.split('|')] for line in text.splitlines() if line.count('|') == 6]
    tap.equal(len(got), len(rows), f'nfdump: {len(rows)} flows')
    for i, column in enumerate(('packets_there', 'bytes_there', 'packets_back', 'bytes_back'), 1):
        tap.equal(sum(int(g[i]) for g in got), sum(int(r[column]) for r in rows), f'nfdump: the sum of {column}')
    tap.equal(sorted(int(g[5]) for g in got if g[5] != '0'),
              sorted(int(r['nat_sport']) for r in rows if r['nat_sport'] not in ('', '0') and 'icmp' not in r['proto']),
              'nfdump: the ports behind NAT')


def main(sample):
    tap = golden.Tap()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        table, ipfix = folder / 'flows.csv', folder / 'flows.ipfix'
        subprocess.run([sample, str(SEED), str(N), str(table), str(ipfix)], check=True)
        with table.open(newline='') as f:
            rows = list(csv.DictReader(f, strict=True))
        tap.check(len(rows) == N and all(None not in r and None not in r.values() for r in rows),
                  f'the CSV holds {N} records, each whole', len(rows))
        if shutil.which('tshark'):
            seen, malformed = flows(ipfix)
            tap.equal(len(seen), N, f'tshark: {N} flows')
            tap.check(not malformed, 'tshark: nothing malformed, no complaint')
            faults = [f'record {i}: {w}' for i, (r, s) in enumerate(zip(rows, seen)) for w in wrong(r, s)]
            tap.check(not faults, 'tshark: every field is as the CSV says', *faults[:10])
        else:
            tap.skip('tshark', 'it is not installed')
        (folder / 'nf').mkdir()
        nfdump(tap, rows, ipfix, folder / 'nf')
    return tap.done()


if __name__ == '__main__':
    sys.exit(collect(*sys.argv[2:]) if sys.argv[1] == '--collect' else main(*sys.argv[1:]))
