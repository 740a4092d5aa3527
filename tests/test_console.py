from ispbench.console import Column, say, table, warn


def test_brackets_are_text(capsys):
    say("a [/x] b", "[bold]c[/bold]")
    warn("no [/x] there")
    table(["[/a]", Column("b", right=True)], [("[red]1[/red]", 2.5)], title="[/t]", caption="[/c]")
    told = capsys.readouterr()
    assert told.out.startswith("a [/x] b\n[bold]c[/bold]\n")
    assert told.err == "ispbench: no [/x] there\n"
    for text in ("[/a]", "[red]1[/red]", "[/t]", "[/c]", "2.5"):
        assert text in told.out


def test_a_table_keeps_its_width(capsys):
    long = "x" * 60
    table([Column("name", fold=True), Column("more", fold=True)], [(long, long)], min_width=140)
    assert f"{long}   {long}" in capsys.readouterr().out
    table([Column("name", fold=True), Column("number", right=True)], [(long * 2, 1)])
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "".join(lines).count("x") == 120, "long cells are folded, not cut"
