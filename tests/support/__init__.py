# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test bed: real software TPMs, a fault-injecting proxy, and a runner of single modules.

``tests/`` is put on the path by ``tests/conftest.py``; from there ``from support.swtpm import Swtpm``.

The files, each with a docstring that says more:

- ``abrmd.py``: the resource manager tpm2-abrmd in front of a software TPM
- ``ask_interpreter.py``: what Ansible starts in place of a device's interpreter that is warm
- ``birth.py``: birth records of devices whose TPM is made of software keys
- ``commands.py``: TPM commands by name, and what each does to a TPM
- ``controller.py``: an operator's controller: ansible-playbook over an inventory of its own
- ``cycle.py``: check, apply, check, apply for every state of a module, with the laws that hold for each run
- ``demo.py``: a demo in a folder of its own
- ``ek_lab.py``: a TPM vendor of the lab: roots, CAs, EK certificates and CRLs, right ones and wrong ones
- ``enroll.py``: enrolment in this process, with the real module at the other end
- ``enroll_dies.py``: a controller that is killed in mid-enrolment, in a process of its own
- ``enrolling.py``: a device's first run step by step, with the TPM commands of each step
- ``escrow.py``: what other processes ask of the escrow at the same time
- ``event_log.py``: event logs made byte by byte
- ``evidence.py``: what the tests of tpm2_evidence share
- ``factory.py``: a factory: a TPM vendor, a CA, a registry, a line of devices
- ``faults.py``: what the fault tests share: a device, and an undisturbed twin
- ``forger.py``: answers of somebody between module and TPM who holds no key
- ``forks.py``: the other side of warm.py: a Python that forks for each run
- ``fuzz.py``: right bytes and right JSON that are spoilt at random, and how often
- ``hand.py``: state made by hand, with tpm2-tools
- ``hostile.py``: an attacker's device, and all by which an honest run differs from another
- ``hostile_python.py``: that device's Python, which changes what every module says
- ``https.py``: a web server over TLS on the loopback address
- ``lab_ca.py``: certificate authorities, right and wrong ones
- ``module.py``: runs a module in a process of its own on a chosen Python
- ``node.py``: a software TPM behind a device node with owner and mode
- ``places.py``: the checkout, the virtual environment, the import paths of a device's Python
- ``ports.py``: pairs of adjacent loopback ports, reserved across processes
- ``postgres.py``: a PostgreSQL as a process of its own
- ``profile.py``: the reference profile with its variables filled in, and its variants
- ``proven.py``: devices of a registry with the birth records that prove them
- ``proxy.py``: a TCP proxy that records every TPM command and injects faults at exact positions
- ``raw.py``: a raw TPM client, independent of the product's own
- ``refused.py``: one clear sentence, and nothing on the device is changed
- ``registry.py``: devices for tests of the registry, and other processes that use it at the same time
- ``rogue.py``: an attacker's Python that runs every module and answers what it likes
- ``run_interpreter.py``: a device's warm Python that forks each time Ansible starts it
- ``run_module.py``: runs modules in this Python, without AnsiballZ
- ``run_playbook.py``: a controller's warm Python that forks for each run of ansible-playbook
- ``sandbox.py``: this machine as a copy on write, in namespaces of its own
- ``scene.py``: a hardened device on a line with registry, escrow and LDevID
- ``secrets.py``: looks for secrets on the wire, in outputs, in files
- ``softhsm.py``: PKCS#11 tokens in software
- ``state.py``: what a device ended with, seen from outside, so that two runs can be compared
- ``swtpm.py``: one software TPM as a process of its own
- ``syslog.py``: the system's log, read by the test
- ``tools.py``: a TPM as tpm2-tools and a raw client see it
- ``warm.py``: modules and ansible-playbook in processes that are forked from a warm Python
- ``profiles/reference.yml``: the reference profile of the tests, the benchmark and the documentation
"""
