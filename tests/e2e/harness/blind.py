"""The blind intervals that errormsg tells of: "not captured from T to T: ..."."""
import datetime
import re

INTERVAL = re.compile(r"not captured from (\S+Z) to (\S+Z)")


def epoch_ms(text):
    return round(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def intervals(session):
    """[(from, to)] in epoch ms."""
    return [(epoch_ms(a), epoch_ms(b)) for a, b in INTERVAL.findall(session.get("errormsg", ""))]
