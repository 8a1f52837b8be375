#!/usr/bin/python3
"""A mail server on loopback for 020_mailer.pl.

    smtp_server.py PORT FOLDER [CERTIFICATE KEY [USER PASSWORD]]

Each message that it accepts becomes a file of FOLDER, named by the order of
arrival: the envelope in two lines, an empty one, and the message.  With a
certificate it requires STARTTLS, with a user also authentication.  How it
treats a message is asked for by the recipient's name, up to a digit:

    refuse   550 for the recipient      bounce   554 for the message, repeating it
    later    451 for the recipient      stall    no answer to the message
    drop     hangs up in the message    slow     0.3 seconds for the message
    lose     accepts, and hangs up before it says so
    babble   550 for the recipient, at length and beyond ASCII
"""
import asyncio
import itertools
import os
import re
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def wish(session_or_envelope):
    return re.split(r"[0-9@]", session_or_envelope.rcpt_tos[0])[0]


class Server(SMTP):
    async def push(self, status):
        await super().push(status.encode() if isinstance(status, str) else status)

    async def smtp_DATA(self, arg):
        if self.envelope.rcpt_tos and wish(self.envelope) == "drop":
            await self.push("354 go on")
            await self._reader.readline()
            self.transport.abort()
            return
        await super().smtp_DATA(arg)


class Handler:
    def __init__(self, folder):
        self.folder = folder
        self.numbers = itertools.count(1)

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refuse"):
            return f"550 5.1.1 <{address}>: no such user"
        if address.startswith("babble"):
            return "550 " + "\u00e9no " * 200
        if address.startswith("later"):
            return "451 4.7.1 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def store(self, envelope):
        name = f"{self.folder}/{next(self.numbers):05d}"
        with open(f"{name}.new", "wb") as file:
            file.write(f"{envelope.mail_from}\n{' '.join(envelope.rcpt_tos)}\n\n".encode())
            file.write(envelope.content)
        os.rename(f"{name}.new", f"{name}.eml")

    async def handle_DATA(self, server, session, envelope):
        asked = wish(envelope)
        if asked == "bounce":
            link = re.search(rb"https://\S+", envelope.content.replace(b"=\r\n", b"")).group()
            return f"554 5.7.1 rejected for <{envelope.rcpt_tos[0]}>: {link.decode()}"
        if asked == "stall":
            await asyncio.sleep(60)
        if asked == "slow":
            await asyncio.sleep(0.3)
        self.store(envelope)
        if asked == "lose":
            server.transport.abort()
        return "250 accepted"


def make_server(handler, tls, user):
    def authenticate(server, session, envelope, mechanism, data):
        return AuthResult(success=(data.login.decode(), data.password.decode()) == user, handled=False)

    return Server(handler, hostname="localhost", tls_context=tls, require_starttls=tls is not None,
                  authenticator=authenticate, auth_required=user is not None)


async def main(port, folder, certificate=None, key=None, *user):
    tls = None
    if certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate, key)
    handler = Handler(folder)
    server = await asyncio.get_running_loop().create_server(
        lambda: make_server(handler, tls, user or None), "127.0.0.1", int(port))
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
