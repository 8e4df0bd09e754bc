"""Runs a command at a terminal, types a text when it is asked something, and ends as the command does: terminal.py TEXT COMMAND…

What the command prints is printed. The text is in Python's notation: \\x03 is Ctrl-C.
"""
import os, pty, sys

text, command = sys.argv[1].encode().decode("unicode_escape").encode(), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(command[0], command)
printed, is_typed = b"", False
while True:
    try:
        read = os.read(terminal, 4096)
    except OSError:
        break
    if not read:
        break
    printed += read
    if not is_typed and b"s or q? " in printed:
        is_typed = True
        os.write(terminal, text)
sys.stdout.write(printed.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
