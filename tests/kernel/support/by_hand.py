"""A chain and a rule's number in; what somebody would type to change our table, as shell, out."""

T = "inet calico_rkt"


def replaced(chain, number, rule):
    """Shell: replace the rule of that number in a chain."""
    handle = f"$(nft -a list chain {T} {chain} | grep -- '# handle' | sed -n {number + 1}p | sed 's/.*handle //')"
    return f"nft replace rule {T} {chain} handle {handle} {rule}"


def deleted(chain, number):
    return replaced(chain, number, "").replace("nft replace", "nft delete")


def moved(chain, number, rule):
    return f"{deleted(chain, number)}; nft insert rule {T} {chain} {rule}"


def rehooked(chain, hook):
    """Shell: the same chain with another hook, priority or policy; a chain's rules go with it."""
    return (
        f"nft -s list chain {T} {chain} | grep -v '[{{}};]' >/tmp/rules.$$; nft flush chain {T} {chain}; "
        f"nft delete chain {T} {chain}; "
        f"{{ echo 'table {T} {{ chain {chain} {{ {hook};'; cat /tmp/rules.$$; "
        "printf '}\\n}\\n'; } | nft -f -; rm /tmp/rules.$$"
    )
