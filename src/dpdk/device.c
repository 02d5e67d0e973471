/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices plugged in at run time. What can be told beforehand is told in our words, the rest in the driver's. */
#include "eal.h"
#include <errno.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/dpdk/ethdev.h>
#include <net/if.h>
#include <rte_dev.h>
#include <rte_log.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The value of `key` in "driver,key=value,..."; false: it has none. */
static bool find_argument(const char *device, const char *key, char *value, size_t size) {
    const size_t len = strlen(key);
    for (const char *p = device; (p = strchr(p, ','));) {
        p++;
        if (strncmp(p, key, len) || p[len] != '=')
            continue;
        snprintf(value, size, "%.*s", (int)strcspn(p + len + 1, ","), p + len + 1);
        return true;
    }
    return false;
}

static void hint_interfaces(struct err *e) {
    char list[256] = "";
    size_t used = 0;
    struct if_nameindex *all = if_nameindex();
    for (unsigned i = 0; all && all[i].if_index && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, " %s", all[i].if_name);
    if (all)
        if_freenameindex(all);
    err_hint(e, "interfaces here:%s", list);
}

/* af_packet and af_xdp attach to an interface of the kernel: is it there, and may we? */
static int check_interface(const char *device, struct err *e) {
    char name[64];
    if (strncmp(device, "net_af_", 7) && strncmp(device, "eth_af_", 7))
        return 0;
    if (!find_argument(device, "iface", name, sizeof name)) {
        err_set(e, -EINVAL, "device `%s` names no interface", device);
        err_hint(e, "net_af_packet0,iface=NAME");
        return -EINVAL;
    }
    if (!if_nametoindex(name)) {
        err_set(e, -ENODEV, "device `%s`: there is no interface `%s`", device, name);
        hint_interfaces(e);
        return -ENODEV;
    }
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), error = fd < 0 ? errno : 0;
    if (!error)
        close(fd);
    if (error != EPERM)
        return 0;
    err_set(e, -EPERM, "device `%s`: no right to open packet sockets", device);
    err_hint(e, "run as root, with CAP_NET_RAW, or in a namespace of your own: unshare -Urn");
    return -EPERM;
}

static int probe(const char *device, struct err *e) {
    struct dpdk_caught caught;
    char said[400];
    dpdk_catch_stderr(&caught);
    rte_log_set_global_level(RTE_LOG_ERR);
    int rc = rte_dev_probe(device);
    rte_log_set_global_level(0);
    dpdk_release_stderr(&caught, said, sizeof said);
    if (rc >= 0)
        return 0;
    rc = rc == -1 ? -ENODEV : rc; /* some drivers know no other number */
    err_set(e, rc, "device `%s` does not open: %s", device, said[0] ? said : strerror(-rc));
    err_hint(e, "a device of DPDK with its arguments, such as net_af_packet0,iface=eth0, net_tap0, "
                "net_memif0,role=server,socket=/tmp/a.sock or net_pcap0,tx_pcap=out.pcap; or a PCI address");
    return rc;
}

int dpdk_device_add(const char *device, uint16_t *port, struct err *e) {
    char name[RTE_DEV_NAME_MAX_LEN];
    if (!dpdk_running())
        return err_set(e, -EINVAL, "device `%s`: EAL does not run", device);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(device, ","), device);
    if (rte_eth_dev_get_port_by_name(name, port) == 0) {
        err_set(e, -EEXIST, "device `%s`: the name `%s` is taken", device, name);
        err_hint(e, "number the devices of a driver: net_tap0, net_tap1");
        return -EEXIST;
    }
    int rc = check_interface(device, e);
    if (rc || (rc = probe(device, e)))
        return rc;
    if (rte_eth_dev_get_port_by_name(name, port))
        return err_set(e, -ENODEV, "device `%s` opened no port", device);
    return 0;
}

void dpdk_device_remove(uint16_t port) {
    struct rte_eth_dev_info info;
    rte_eth_dev_stop(port);
    if (rte_eth_dev_info_get(port, &info) == 0)
        rte_dev_remove(info.device);
}
