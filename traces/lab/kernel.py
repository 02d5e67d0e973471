# SPDX-License-Identifier: BSD-3-Clause
"""What the host's kernel decided, written beside the capture."""
import json
import os
import subprocess

from topology import host_sysctls
from variants import GATEWAY, GATEWAY6, VPN_GATEWAY

# Nobody has these; the routes cover them.
UNUSED = ("10.0.0.99", "10.0.2.77", "10.0.3.99", "172.16.3.77")
UNUSED6 = ("fd00:a::99", "fd00:a:0:2::77", "fd00:a:0:3::99", "fd00:ac10::77", "2001:db8::77")


def families(v):
    return ("-4", "-6") if v.routes6 else ("-4",)


def routes(lab, v):
    return "".join(f"# ip {family} {command}\n" + lab.run("hyperv", "ip", family, *command.split()) + "\n"
                   for family in families(v) for command in ("rule", "-br addr", "route show table all"))


def lookups(lab, v):
    """A line of JSON a lookup: for each pair of addresses and each interface that a packet may come in on, and for the
    host's own packets (iif null), where the host's tables send it, or the error."""
    addresses, lines = v.addresses(), []
    for family in families(v):
        six = family == "-6"
        names = [name for name in addresses if name.endswith("/6") == six]
        own = [addresses[n] for n in v.own() if n in names]
        absent = ("hyperv-nic2",) if not v.nic2 else ()
        others = [addresses[n] for n in names if n not in (*v.own(), *absent)]
        others += GATEWAY6.values() if six else (*GATEWAY.values(), VPN_GATEWAY)
        unused = UNUSED6 if six else UNUSED
        asked = [(to, source, None) for source in (None, *own) for to in (*others, *own, *unused)]
        asked += [(to, source, iif) for iif in v.nics() for source in others for to in (*others, *own, *unused)
                  if to != source]
        lines += [json.dumps(found) for found in ask(lab, family, asked)]
    return "\n".join(lines) + "\n"


def ask(lab, family, asked):
    """The kernel's answers to all (to, from, iif)."""
    lines = (to + (f" from {source}" if source else "") + (f" iif {iif}" if iif else "") for to, source, iif in asked)
    for (to, source, iif), answer in zip(asked, route_get(lab, "hyperv", family, lines)):
        found = {key: answer[key] for key in ("error", "type", "dev", "gateway", "prefsrc") if key in answer}
        yield {"to": to, "from": source, "iif": iif, **found}


def route_get(lab, machine, family, lines):
    """What `ip route get` of each line says in a machine: the answer, or {"error": why}."""
    lines = list(lines)
    done = subprocess.run(["ip", "netns", "exec", lab.namespace(machine), "ip", family, "-j", "-force", "-b", "-"],
                          input="".join(f"route get {line}\n" for line in lines), text=True, capture_output=True)
    errors, reason = {}, ""
    for line in done.stderr.splitlines():
        if line.startswith("Command failed"):
            errors[int(line.rsplit(":", 1)[1]) - 1] = reason
        else:
            reason = line.removeprefix("RTNETLINK answers: ")
    answers = [json.loads(line)[0] for line in done.stdout.splitlines() if line.startswith("[")]
    if len(answers) + len(errors) != len(lines):
        raise RuntimeError("kernel: other than one answer to each question of ip route get")
    answers.reverse()
    return [{"error": errors[number]} if number in errors else answers.pop() for number in range(len(lines))]


def conntrack(lab, events):
    table = lab.run("hyperv", "conntrack", "-L", "-o", "id")
    return f"# conntrack -E -o timestamp,id\n{events}# conntrack -L -o id\n{table}"


def drops(lab):
    """Counters of the platform's drop rules, and of the host's stack, since its namespace was made."""
    objects = json.loads(lab.run("platform", "nft", "-j", "list", "counters"))["nftables"]
    counters = {o["counter"]["name"]: {k: o["counter"][k] for k in ("packets", "bytes")}
                for o in objects if "counter" in o}
    stack = {name: json.loads(lab.run(name, "nstat", "-asj"))["kernel"] for name in ("hyperv", "platform")}
    links = {link["ifname"]: {way: {k: link["stats64"][way][k] for k in ("packets", "bytes", "errors", "dropped")}
                              for way in ("rx", "tx")}
             for link in json.loads(lab.run("hyperv", "ip", "-j", "-s", "link")) if link["ifname"] != "lo"}
    return json.dumps({"platform_drops": counters, "nstat": stack, "host_links": links}, indent=1) + "\n"


def programs(outcomes):
    lines = [f"{start:8.3f} {seconds:7.3f} {machine:<12} {status:>3}  {line}\n"
             for start, seconds, machine, line, status in outcomes]
    return "#  start seconds machine      exit program\n" + "".join(lines)


def about(lab, v, captured):
    """No host name, path or date: what is needed to understand the files beside this one."""
    system = os.uname()
    stated = "".join(f"{key} = {value}\n" for key, value in {**lab.sysctls, **host_sysctls(v)}.items())
    return (f"kernel: {system.sysname} {system.release} {system.machine}\n\nframes captured on the host:\n{captured}\n"
            f"sysctls stated on the host:\n{stated}\nits NAT:\n{lab.run('hyperv', 'nft', '-s', 'list', 'ruleset')}\n"
            f"the platform's edge:\n{lab.run('platform', 'nft', '-s', 'list', 'ruleset')}")


def write(directory, lab, v, events, captured, outcomes):
    directory.mkdir(exist_ok=True)
    for name, content in {
        "routes.txt": routes(lab, v), "lookups.json": lookups(lab, v), "conntrack.txt": conntrack(lab, events),
        "drops.json": drops(lab), "programs.txt": programs(outcomes), "about.txt": about(lab, v, captured),
    }.items():
        (directory / name).write_text(content)
    subprocess.run(["zstd", "-q", "-f", "-19", "--rm", str(directory / "conntrack.txt")], check=True)
