/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices plugged in at run time: what cannot be is told with the device's name and what would be right. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fwdlab/dpdk/dpdk.h>
#include <string.h>
#include <unistd.h>

static void start(bool pci) {
    const struct dpdk_options o = {.no_huge = true, .memory_mb = 256, .pci = pci};
    struct err e = {0};
    cr_assert_eq(dpdk_start(&o, &e), 0, "%s", e.what);
}

static void refused(const char *device, int code, const char *what, const char *hint) {
    struct err e = {0};
    uint16_t port;
    int rc = dpdk_device_add(device, &port, &e);
    cr_assert(code ? rc == code : rc < 0, "%s: %d", device, rc);
    cr_assert(strstr(e.what, device) && strstr(e.what, what), "%s: %s", device, e.what);
    cr_assert(strstr(e.hint, hint), "%s: %s", device, e.hint);
    cr_assert_eq(strchr(e.what, '\n'), NULL);
}

Test(device, comes_and_goes) {
    struct err e = {0};
    uint16_t a, b;
    start(false);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(dpdk_device_add("net_null0", &a, &e), 0, "%s", e.what);
        cr_assert_eq(dpdk_device_add("net_null1,size=100", &b, &e), 0, "%s", e.what);
        cr_assert_neq(a, b);
        refused("net_null0", -EEXIST, "taken", "net_tap1");
        dpdk_device_remove(a);
        dpdk_device_remove(b);
    }
}

Test(device, says_what_is_wrong) {
    start(false);
    refused("net_nothing0", 0, "does not open", "net_af_packet0,iface=");
    refused("0000:7f:1f.7", 0, "does not open", "PCI");
    refused("net_af_packet0", -EINVAL, "names no interface", "iface=NAME");
    refused("net_af_packet0,iface=no-such-one", -ENODEV, "no interface `no-such-one`", " lo");
    refused("net_af_packet0,iface=lo,framesz=70000", 0, "does not open: ", "");
    refused("net_pcap0,rx_pcap=/nowhere/at-all.pcap", 0, "at-all.pcap", "");
}

Test(device, pci_takes_none_by_itself) {
    start(true);
    refused("0000:7f:1f.7", 0, "does not open", "PCI");
    struct err e = {0};
    uint16_t port;
    cr_assert_eq(dpdk_device_add("net_null0", &port, &e), 0, "%s", e.what);
    cr_assert_eq(port, 0, "there was no port before");
}

Test(device, needs_privileges) {
    start(false);
    if (geteuid() == 0)
        cr_assert_eq(seteuid(65534), 0); /* drops the capabilities that count */
    refused("net_af_packet0,iface=lo", -EPERM, "no right", "unshare -Urn");
}

Test(device, needs_eal) {
    struct err e = {0};
    uint16_t port;
    cr_assert_eq(dpdk_device_add("net_null0", &port, &e), -EINVAL);
    cr_assert(strstr(e.what, "EAL does not run"), "%s", e.what);
}
