/* SPDX-License-Identifier: BSD-3-Clause */
/* The only place that starts EAL and plugs devices in, and the core's fast lookup backend. */
#ifndef FWDLAB_DPDK_DPDK_H
#define FWDLAB_DPDK_DPDK_H

#include <stdbool.h>
#include <fwdlab/base/err.h>
#include <fwdlab/core/route.h>

struct dpdk_options {
    unsigned memory_mb;     /* without hugepages: how much may be taken; 0: 2048. Untouched memory costs nothing */
    unsigned hugepages_mb;  /* hugepages are used when at least so much is free; 0: memory_mb */
    bool no_huge;           /* do not even try hugepages */
    unsigned main_cpu;      /* the main lcore runs here */
    bool pci;               /* PCI devices may be added; none is taken before that */
};
/*
 * Starts EAL once a process (-EALREADY afterwards). Uses hugepages when enough are free, else ordinary pages; needs no
 * privileges. Quiet: EAL's log goes nowhere unless it fails.
 */
int dpdk_start(const struct dpdk_options *o, struct err *e);
void dpdk_stop(void);
const char *dpdk_version(void);
/* "2048 kB x 512", or "none: ordinary pages (lookups in big tables cost more TLB misses)". */
const char *dpdk_hugepages(void);

/*
 * Plugs in a device and gives its port number; the port is not set up. `device`: what EAL's --vdev takes, or the
 * address of a PCI device that is bound to a user-space driver ("0000:03:00.0"; dpdk_options.pci). Names are the
 * driver's and a number:
 *
 *     net_af_packet0,iface=eth0       an interface of the kernel; root or CAP_NET_RAW. Frames up to its MTU + 14 bytes.
 *                                     It is left as it is: not set up, not made promiscuous. On a veth, other frames
 *                                     (neighbour discovery) arrive too. IPv4 fragments that arrive are put together by
 *                                     the kernel. Two devices on one interface share what arrives: use one device both
 *                                     ways. qdisc_bypass=0 sends through traffic control
 *     net_tap0,iface=name             makes the interface
 *     net_memif0,role=server,socket=/tmp/a.sock,socket-abstract=no and net_memif1,role=client,... with the same socket
 *     net_pcap0,tx_pcap=out.pcap      writes a file; rx_pcap= reads one
 *     net_ring0, net_null0            for tests
 *
 * -EEXIST: the name is taken; -ENODEV: no such driver, interface or PCI device; -EPERM; other errors say what the
 * driver said.
 */
int dpdk_device_add(const char *device, uint16_t *port, struct err *e);
/* Stops, closes and unplugs it. */
void dpdk_device_remove(uint16_t port);

/* rte_fib DIR24-8 with 4-byte entries, AVX-512 lookups when the machine and EAL have them. Needs dpdk_start. */
extern const struct route_backend route_dir24_8;

#endif
