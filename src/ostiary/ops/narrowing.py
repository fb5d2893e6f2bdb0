"""Whether one access rule is about all that another one is about."""

from ostiary.model.access import AccessRule


def takes_all_of(earlier: AccessRule, rule: AccessRule) -> bool:
    """Whether whatever fits `rule` fits `earlier` too, as far as can be told without comparing patterns."""
    if earlier.not_before and (rule.not_before is None or rule.not_before < earlier.not_before):
        return False
    if earlier.not_after and (rule.not_after is None or rule.not_after > earlier.not_after):
        return False
    if earlier.action == "ALLOW" and rule.action == "DENY" and (earlier.paths or earlier.methods):
        return False  # what denies is read more widely (access.patterns)
    asked = [(getattr(earlier, name), getattr(rule, name)) for name in ("hosts", "paths", "methods", "sources")]
    asked += [(values, getattr(rule.certificate, name)) for name, values in earlier.certificate]
    return all(not wide or (narrow and set(narrow) <= set(wide)) for wide, narrow in asked)
