# SPDX-License-Identifier: BSD-3-Clause
"""What the platform does not let through at its NICs, as an nftables table with a counter for each rule."""


def rules(v, nics, addresses, floating, family="ip", link=("", ""), suffix=""):
    """N7 (a NIC with IP forwarding off sends and receives with its own address only) and N6 (a subnet without the route
    table does not reach the floating subnets). `link`: what else passes as source and as destination, on the link."""
    counters, before, after = [], [], []

    def drop(rules, match, counter):
        counters.append(counter + suffix)
        rules.append(f"{match} counter name {counter}{suffix} drop")

    for nic in nics:
        if not nic.endswith("-nic2") or not v.forwarding:
            source, destination = (f"{{ {addresses[nic]}{more} }}" for more in link)
            drop(before, f"iifname {nic} {family} saddr != {source}", f"{nic}-sends-foreign-source")
            drop(after, f"oifname {nic} {family} daddr != {destination}", f"{nic}-receives-foreign-destination")
    for interface in [*nics, "gateway", "internet"]:
        if interface not in v.associated:
            drop(before, f"iifname {interface} {family} daddr {{ {', '.join(floating)} }}",
                 f"{interface}-has-no-route-to-guests")
    newline = "\n            "
    return f"""table {family} edge {{
        {newline.join(f"counter {counter} {{ }}" for counter in counters)}
        chain before {{ type filter hook prerouting priority raw; policy accept;
            {newline.join(before)}
        }}
        chain after {{ type filter hook postrouting priority 0; policy accept;
            {newline.join(after)}
        }}
    }}"""
