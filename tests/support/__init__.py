# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test bed: real software TPMs, a fault-injecting proxy, and a runner of single modules.

``tests/`` is put on the path by ``tests/conftest.py``; from there ``from support.swtpm import Swtpm``.

The files, each with a docstring that says more:

- ``abrmd.py``: the resource manager tpm2-abrmd in front of a software TPM
- ``ask_interpreter.py``: the small program that Ansible starts in place of a device's interpreter, and which asks a warm one
- ``birth.py``: birth records of devices whose TPM is made of software keys
- ``busybox.py``: a device that has BusyBox and nothing else
- ``commands.py``: TPM commands by name, and what each does to a TPM
- ``controller.py``: an operator's controller: ansible-playbook over an inventory of its own
- ``cycle.py``: check, apply, check, apply for every state of a module, with the laws that hold for each run
- ``demo.py``: runs the demo in a folder of its own
- ``ek_lab.py``: a TPM vendor of the lab: roots, CAs, EK certificates and CRLs, good and bad ones
- ``enroll.py``: enrolment in this process, with the real module at the other end
- ``enroll_dies.py``: a controller that is killed in mid-enrolment, in a process of its own
- ``enrolling.py``: a device's first run step by step, with the TPM commands of each step
- ``escrow.py``: a request to the escrow, for several processes at the same time
- ``event_log.py``: event logs made byte by byte
- ``evidence.py``: shared code of the tests of tpm2_evidence
- ``factory.py``: a factory: a TPM vendor, a CA, a registry, a line of devices
- ``faults.py``: shared code of the fault tests: a device, and an undisturbed twin
- ``forger.py``: answers of an attacker between module and TPM who has no key
- ``forks.py``: the server for warm.py: a Python that forks for each run
- ``fuzz.py``: damages valid bytes and valid JSON at random, and decides how often
- ``hand.py``: makes state by hand, with tpm2-tools
- ``hostile.py``: an attacker's device, and everything in which a run with it could differ from an honest one
- ``hostile_python.py``: that device's Python, which changes the output of every module
- ``https.py``: a web server over TLS on the loopback address
- ``lab_ca.py``: certificate authorities, good and bad ones
- ``module.py``: runs a module in a process of its own on a chosen Python
- ``node.py``: a software TPM behind a device node with owner and mode
- ``places.py``: the checkout, the virtual environment, the import paths of a device's Python
- ``ports.py``: pairs of adjacent loopback ports, reserved across processes
- ``postgres.py``: a PostgreSQL as a process of its own
- ``profile.py``: the reference profile with its variables filled in, and its variants
- ``proven.py``: devices of a registry, with birth records
- ``proxy.py``: a TCP proxy that records every TPM command and injects faults at exact positions
- ``raw.py``: a raw TPM client, independent of the product's own
- ``recorder.py``: a device whose Python records everything that it is given
- ``refused.py``: checks that a refusal is one clear sentence and changes nothing on the device
- ``registry.py``: devices for tests of the registry, and other processes that use it at the same time
- ``relay.py``: the controller's comparison over the relay, without Ansible
- ``rogue.py``: an attacker's Python that runs every module and changes its answer
- ``run_interpreter.py``: a device's warm Python that forks each time Ansible starts it
- ``run_module.py``: runs modules in this Python, without AnsiballZ
- ``run_playbook.py``: a controller's warm Python that forks for each run of ansible-playbook or ansible-inventory
- ``run_task.py``: a controller that does a task over the relay, in a process of its own that can be killed
- ``sandbox.py``: a copy-on-write view of this machine, in namespaces of its own
- ``scene.py``: a hardened device on a line with registry, escrow and LDevID
- ``secrets.py``: looks for secrets on the wire, in outputs, in files
- ``shared.py``: what is made once for all workers of a session
- ``softhsm.py``: PKCS#11 tokens in software
- ``state.py``: the final state of a device, seen from outside, so that two runs can be compared
- ``swtpm.py``: one software TPM as a process of its own
- ``syslog.py``: the system's log, read by the test
- ``tools.py``: reads and changes a TPM with tpm2-tools and a raw client
- ``warm.py``: modules and ansible-playbook in processes that are forked from a warm Python
- ``profiles/reference.yml``: the reference profile of the tests, the benchmark and the documentation
"""
