"""The passes of `agents.passes`, faster; `choose` takes them where they are exact."""
