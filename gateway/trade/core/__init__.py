"""The trading core: one user's orders, positions, holdings and money, decided without I/O or a clock.

Time is an argument (aware `datetime`), order ids come from the caller, money is `Decimal`. Commands work on an
`Account` (`book.py`) and return `Changes`: the rows to write and the events to raise, for one transaction. A command
that raises has changed nothing; `Account.undo` takes back one whose transaction failed. The rules are those of the
sandbox specification.
"""
