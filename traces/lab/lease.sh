#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What udhcpc does with a lease: its address and its router, nothing outside the namespace.
case $1 in
deconfig) ip -4 addr flush dev "$interface" ;;
bound | renew)
    ip addr replace "$ip/$mask" dev "$interface"
    ip route replace default via "$router" dev "$interface"
    ;;
esac
