# SPDX-License-Identifier: BSD-3-Clause
"""The analyzer's memory does not grow with the capture: not with more packets of the same flows, not with ever new flows
beyond what --memory allows, and not with ever new clients of a NAT beyond those that it tells apart."""
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

import golden

FLOWS, ALLOWED, SPARE = 5000, 20, 6  # MB; SPARE: allocator, page tables


def packet(flow):
    payload = bytes(64)
    udp = struct.pack('>HHHH', 1024 + flow % 60000, 53, 8 + len(payload), 0) + payload
    ip = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(udp), flow & 0xffff, 0, 64, 17, 0,
                     bytes([10, flow >> 16 & 255, flow >> 8 & 255, flow & 255]), bytes([192, 0, 2, 1]))
    total = sum(struct.unpack('>10H', ip))
    total = (total & 0xffff) + (total >> 16)
    total = ~((total & 0xffff) + (total >> 16)) & 0xffff
    return bytes.fromhex('020000000002 020000000001 0800') + ip[:10] + struct.pack('>H', total) + \
        ip[12:] + udp


NAT = """
fwdlab: 1
name: memory
node: router
switches: { inside: {} }
sites: { internet: { internet: true } }
machines:
  router:
    router: true
    nics:
      inside: { switch: inside, address: 10.255.255.1/8, sources: [10.0.0.0/8] }
      outside: { site: internet, address: 203.0.113.1/24, gateway: 203.0.113.254, sources: [0.0.0.0/0] }
    nat: { outside: outside, personality: interface, addresses: [203.0.113.2, 203.0.113.3] }
"""


def write(path, laps, anew):
    """Each lap takes 10 s and has all flows once, or as many new ones. (After 24 laps of new ones all ports of an address
    of the NAT are in use: only then are its sessions no longer more with each lap.)"""
    with open(path, 'wb') as f:
        f.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for lap in range(laps):
            for i in range(FLOWS):
                p = packet(i + lap * FLOWS if anew else i)
                f.write(struct.pack('<IIII', lap * 10 + i * 10 // FLOWS, i * 100 % 1000000, len(p), len(p)) + p)


def peak(fwdlab, path, scenario, *options):
    """MB."""
    p = subprocess.Popen([fwdlab, 'analyze', *options, scenario, str(path)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / 1024 if p.returncode == 0 else None


def main(fwdlab):
    memory = ['--memory', f'{ALLOWED}M']
    tap = golden.Tap()
    with tempfile.TemporaryDirectory() as folder:
        path, nat = pathlib.Path(folder) / 'laps.pcap', pathlib.Path(folder) / 'nat.yaml'
        nat.write_text(NAT)
        for name, scenario, options, anew, few, many in (('the same flows', '--no-scenario', [], False, 4, 24),
                                                         ('ever new flows', '--no-scenario', memory, True, 8, 40),
                                                         ('ever new clients', str(nat), memory, True, 24, 56)):
            used = []
            for laps in (few, many):
                write(path, laps, anew)
                used.append(peak(fwdlab, path, scenario, *options))
            tap.check(None not in used and used[1] - used[0] < SPARE, f'{name}, {few} laps and {many}', f'{used} MB')
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
