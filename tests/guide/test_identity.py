# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/identity.md, block by block: a line of four devices, one of them without an EK certificate."""

from __future__ import annotations

import pathlib

from support.factory import Vendor

from guide.lab import Lab
from guide.reader import Reader, recap

PAGE = "docs/identity.md"
PLAY = "ansible-playbook -i factory.tpm2_registry.yml --vault-id factory@prompt "
DAY_ZERO = f"{PLAY}edgefleet.tpm2.day_zero"
FIRST = f"{DAY_ZERO} -e tpm2_identity_new_registry=true"
DEVICES = ("edge-01", "edge-02")
TOKEN = "    token: factory"
FILES = "/var/lib/edgefleet-tpm2"
ROOTS, INTERMEDIATES = "/srv/factory/tpm-ca-certificates.pem", "/srv/factory/tpm-intermediate-ca-certificates.pem"
BUNDLE = "ansible-playbook edgefleet.tpm2.trust_bundle -e @bundle.yml"
FLEET_CHECK = (
    "ansible-playbook edgefleet.tpm2.fleet_check "
    """-e '{"tpm2_fleet_records": ["/srv/factory/birth-records"], "tpm2_fleet_roots": ["/srv/factory/ca/root.pem"]}'"""
)
CA_PASSWORD = "the password of issuing.key"
ANSWERS = {
    r"(Enter|Verifying - Enter) PEM pass phrase:": CA_PASSWORD,
    r"Enter pass phrase for (root|recovery)\.key:": CA_PASSWORD,
    r"Enter (password for new role|it again): ": "factory's password",
}


class Story:
    """What is to be seen after the blocks, on the screen and on the devices."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.reader = lab, Reader(lab, PAGE, ANSWERS)

    def play(self, rest: str) -> str:
        """Run a playbook over the line."""
        return self.reader.terminal.run(PLAY + rest)

    def vault(self, text: str) -> None:
        """Put variables into the vault, in the place of those of the same names."""
        name, password = "group_vars/all/vault.yml", "--vault-id factory@/tmp/vault-pass"
        self.reader.there(f"ansible-vault decrypt {password} {name}")
        self.reader.write(name, text)
        self.reader.there(f"ansible-vault encrypt {password} {name}")

    def bundled(self, said: str) -> None:
        assert self.reader.there("sha256sum /srv/factory/tpm-vendors.pem").split()[0] in said

    def enrolled(self, said: str) -> None:
        first, second = recap(said, *DEVICES), recap(self.play("edgefleet.tpm2.day_zero"), *DEVICES)
        assert all(first[name]["changed"] and not second[name]["changed"] for name in DEVICES)
        graph = self.reader.there("ansible-inventory -i factory.tpm2_registry.yml --graph")
        enrolled = graph.partition("@tpm2_enrolled:")[2].partition("@")[0]
        assert all(name in enrolled for name in DEVICES)

    def renewed(self, _said: str) -> None:
        recap(self.play("edgefleet.tpm2.day_zero"), *DEVICES)
        for name in DEVICES:
            self.lab.devices[name].run(f"openssl x509 -in {FILES}/ldevid.cert.pem -noout -checkend $((89 * 86400))")

    def by_the_token(self, _said: str) -> None:
        """From now on the token signs: the third device's certificates are issued with it."""
        token = "softhsm2-util --init-token --free --label factory --pin 1234 --so-pin 12345678"
        key = f"openssl pkcs8 -topk8 -nocrypt -in /srv/factory/ca/issuing.key -passin 'pass:{CA_PASSWORD}' -out /tmp/key.pem"
        self.reader.there(f"{token} && {key} && softhsm2-util --import /tmp/key.pem --token factory --label device-ca --id 01 --pin 1234")
        self.vault("vault_ca_pin: '1234'\n")

    def elsewhere(self, _said: str) -> None:
        """One device is enrolled with a CA elsewhere, which has not issued anything yet."""
        self.vault("vault_records_password: of the key for records\n")
        request = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout records.key -out records.csr -subj '/O=Example/CN=Example Records'"
        signer = "printf 'keyUsage=critical,digitalSignature\\nextendedKeyUsage=1.3.6.1.5.5.7.3.36\\n' >records.ext"
        issue = "openssl x509 -req -in records.csr -CA root.pem -CAkey root.key -days 3650 -extfile records.ext -out records.pem"
        passwords = "-passout 'pass:of the key for records'", f"-passin 'pass:{CA_PASSWORD}'"
        self.reader.there(
            f"cd /srv/factory/ca && cp root.pem elsewhere.pem && {request} {passwords[0]} && {signer} && {issue} {passwords[1]}"
        )
        self.lab.devices["edge-04"].run("apt-get install -qq -y python3-tpm2-pytss")
        self.reader.there(
            "mkdir -p /srv/factory/requests && cp manifest.csv /tmp && echo EF-2026-000004,edge-04,,,south,gateway >>manifest.csv"
        )
        said = self.play("edgefleet.tpm2.day_zero --limit edge-04 -e tpm2_day_zero_stack=false -e tpm2_profile_hardened=false")
        recap(said, "edge-04")
        listed = self.reader.there("ls /srv/factory/requests/EF-2026-000004").split()
        assert "request.json" in listed and len(listed) > 1
        self.reader.there("cp /tmp/manifest.csv .")
        self.reader.again(TOKEN)
        self.reader.write("group_vars/all/line.yml", "", ("tpm2_identity_external_authority", "tpm2_identity_record_signer"))

    def rotated(self, _said: str) -> None:
        old = self.reader.there("ansible-vault view --vault-id factory@/tmp/vault-pass group_vars/all/vault.yml")
        (master,) = [line.partition(" ")[2] for line in old.splitlines() if line.startswith("vault_fleet_master:")]
        new = self.reader.there("openssl rand -hex 32").strip()
        self.vault(f"vault_fleet_master: '{new}'\nvault_former_master: {master}\n")
        recap(self.play("edgefleet.tpm2.rotate_auth"), *DEVICES)

    def random(self, _said: str) -> None:
        self.reader.there("echo EF-2026-000003,edge-03,,,south,gateway >>manifest.csv")
        recap(self.play("edgefleet.tpm2.day_zero --limit edge-03"), "edge-03")
        issued = self.lab.devices["edge-03"].run(f"cat {FILES}/ldevid.cert.pem")
        verify = "openssl verify -partial_chain -CAfile /srv/factory/ca/issuing.pem"
        self.reader.there(f"cat >/tmp/ldevid.pem && {verify} /tmp/ldevid.pem", issued)
        self.reader.write("group_vars/all/line.yml", "tpm2_identity_escrow:\n  master: '{{ vault_fleet_master }}'\n")

    def recovered(self, said: str) -> None:
        self.lab.devices["edge-03"].run(f"tpm2_createprimary -C o -P str:{said.split()[-1]} -c /tmp/primary.ctx")

    def task_ran(self, _said: str) -> None:
        recap(self.play("play.yml"), "edge-01")

    def records_checked(self, said: str) -> None:
        recap(said, "localhost")
        assert "4 birth records verified" in " ".join(said.split())

    def former_ca(self, _said: str) -> None:
        self.reader.there("cp /srv/factory/ca/issuing.pem /srv/factory/ca/issuing-2024.pem")
        recap(self.play("edgefleet.tpm2.audit --limit edge-01,edge-02"), *DEVICES)  # the third has random values

    def database_made(self, _said: str) -> None:
        uri = "postgresql://factory:factory's%20password@localhost/tpm2"
        assert self.reader.there(f'psql "{uri}" -Atc "select current_user"').strip() == "factory"


def test_identity(lab: Lab, tmp_path: pathlib.Path) -> None:
    vendor = Vendor(tmp_path / "vendor")
    lab.device("edge-01", "192.0.2.11", "bookworm", vendor.make("edge-01"))
    lab.device("edge-02", "192.0.2.12", "trixie")
    lab.device("edge-03", "192.0.2.13", "trixie", vendor.make("edge-03"))
    lab.device("edge-04", "192.0.2.14", "bookworm", vendor.make("edge-04"))
    lab.devices["edge-02"].run("apt-get install -qq -y tpm2-tools")  # it is its own test bench
    for made, named in (("swtpm-localca-rootca-cert.pem", ROOTS), ("issuercert.pem", INTERMEDIATES)):
        lab.controller.put(vendor.folder / "ca/state" / made, named)
        lab.controller.run(f"chmod 644 {named}")
    lab.controller.run("pg_ctlcluster 15 main start")
    lab.install()
    story = Story(lab)
    story.reader.follow(
        {
            BUNDLE: story.bundled,
            FIRST: story.enrolled,
            "  lifetime: 90": story.renewed,
            TOKEN: story.by_the_token,
            "  tcg_csr: attestz # or flightctl, or trusted_platform; leave it out where PKCS#10 will do": story.elsewhere,
            '  former_master: "{{ vault_former_master }}"': story.rotated,
            "  mode: random": story.random,
            "    | xxd -r -p | openssl pkeyutl -decrypt -inkey recovery.key -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256": story.recovered,
            "- name: Reset the dictionary attack counter": story.task_ran,
            FLEET_CHECK: story.records_checked,
            "tpm2_identity_record_roots: [/srv/factory/ca/issuing-2024.pem]": story.former_ca,
            "createdb -O factory tpm2": story.database_made,
        }
    )
