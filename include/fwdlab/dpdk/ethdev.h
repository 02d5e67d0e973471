/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's ports beside our `struct ip`: rte_ethdev.h brings in <netinet/ip.h>, which has one of its own. */
#ifndef FWDLAB_DPDK_ETHDEV_H
#define FWDLAB_DPDK_ETHDEV_H

#define ip netinet_ip
#include <rte_ethdev.h>
#undef ip

#endif
