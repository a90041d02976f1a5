"""GET of one session against a civetweb handler that sends the same bytes as a constant, 16 connections kept alive."""
import re
import subprocess

from host import ADDRESS, BUILD, DATA, HEADERS, BenchError, Result, daemon, median, program, say, table, wait_for

GOAL = 0.5
CONSTANT_PORT = 8081

REQUEST = {
    "name": "bench", "description": "what a typical session looks like", "capamount": 100, "capduration": 1,
    "options": {"values": [{"name": "IPPROTO", "value": "0x11"}, {"name": "UDPPORT", "value": "4000"},
                           {"name": "SRCIP", "value": "198.18.0.0/15"}]},
    "tags": [{"scope": "ticket", "tag": "4711"}, {"scope": "team", "tag": "network"}],
}


def curl_headers():
    """The headers as words for curl and wrk."""
    return [word for header in HEADERS.items() for word in ("-H", ": ".join(header))]


def wrk(url, seconds):
    """Requests a second, and the latency below which 99 % stayed."""
    out = subprocess.run(["wrk", "-t2", "-c16", f"-d{seconds}s", "--latency", *curl_headers(), url],
                         capture_output=True, text=True)
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", out.stdout)
    p99 = re.search(r"99%\s+(\S+)", out.stdout)
    if out.returncode != 0 or not rate or not p99 or re.search("Non-2xx|Socket errors", out.stdout):
        raise BenchError(f"wrk {url}: {out.stdout} {out.stderr}")
    return float(rate[1]), p99[1]


def ended_session(service):
    session = service.post(**REQUEST)[0]["sessionid"]
    service.wait_started(session)
    service.act(session, "terminate")
    return session


def same_bytes(service, session, path):
    """Gives the constant server the body that pktcapd answers with."""
    service.client.request("GET", f"{service.base}/{session}", headers=HEADERS)
    path.write_bytes(service.client.getresponse().read())
    return path.stat().st_size


def measure(place, options):
    place.clear()
    body = DATA / "session.json"
    with daemon() as service:
        session = ended_session(service)
        size = same_bytes(service, session, body)
        service.client.close()
        constant = [BUILD / "bench-constant", "%s:%d" % (ADDRESS[0], CONSTANT_PORT), body]
        with program(constant, "constant.log"):
            urls = {"pktcapd": "http://%s:%d%s/%s" % (*ADDRESS, service.base, session),
                    "civetweb, constant answer": f"http://{ADDRESS[0]}:{CONSTANT_PORT}/"}
            for url in urls.values():
                wait_for(url, lambda url=url: subprocess.run(["curl", "-sfo", "/dev/null", *curl_headers(), url]).returncode == 0)
            rates, last_p99 = {name: [] for name in urls}, {}
            for run in range(options.runs):
                for name in list(urls) if run % 2 == 0 else reversed(urls):
                    rate, last_p99[name] = wrk(urls[name], options.seconds)
                    rates[name].append(rate)
                    say(f"http, run {run + 1}: {name}: {rate:,.0f} requests/s")
    base = median(rates["civetweb, constant answer"])
    ratio = median(rates["pktcapd"]) / base
    rows = [["", "requests/s", "p99 of the last run", "ratio to constant"]]
    rows += [[name, f"{median(values):,.0f}", last_p99[name], f"{median(values) / base:.2f}"]
             for name, values in rates.items()]
    text = f"http: GET of an ended session, {size} bytes, 16 connections kept alive, medians of {options.runs} runs\n"
    return Result(text + table(rows), [(ratio >= GOAL, f"http {ratio:.2f} of the constant answer's rate, at least {GOAL}")])
