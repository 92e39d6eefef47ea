"""What is counted is what Prometheus reads, and what status says of it."""

import threading

from prometheus_client.parser import text_string_to_metric_families

from calico_rkt.plugin.agent.metrics import BOUNDS, Metrics
from calico_rkt.plugin.agent.summary import read_summary


def families(metrics, gauges=()):
    return {f.name: f for f in text_string_to_metric_families(metrics.text(gauges))}


def test_nothing_yet_is_a_page_without_samples_of_calls():
    found = families(Metrics())
    assert found["calico_rkt_requests"].samples == []
    assert [s.value for s in found["calico_rkt_declined"].samples] == [0]


def test_a_time_falls_into_the_bucket_whose_bound_it_does_not_pass():
    metrics = Metrics()
    for seconds in (BOUNDS[0], BOUNDS[3], BOUNDS[3] * 1.01, 100.0):
        metrics.done("ADD", 0, seconds, (("link", seconds / 2),))
    samples = families(metrics)["calico_rkt_request_seconds"].samples
    whole = {s.labels["le"]: s.value for s in samples if s.name.endswith("bucket") and s.labels["phase"] == "all"}
    assert whole[str(BOUNDS[0])] == 1
    assert whole[str(BOUNDS[3])] == 2
    assert whole[str(BOUNDS[4])] == 3
    assert whole[str(BOUNDS[-1])] == 3
    assert whole["+Inf"] == 4


def test_labels_are_escaped_and_verbs_are_few():
    metrics = Metrics()
    metrics.done('no"such\nverb', 4, 0.1, ())
    odd = 'a "b"\\c\nd'
    found = families(metrics, [("endpoints", "of a network", [((("network", odd),), 3.0)])])
    assert found["calico_rkt_endpoints"].samples[0].labels == {"network": odd}
    assert found["calico_rkt_requests"].samples[0].labels == {"verb": "none", "code": "4"}


def test_no_digit_of_a_large_value_is_lost():
    page = Metrics().text([("start_time_seconds", "x", [((), 1795680123.25)])])
    assert "calico_rkt_start_time_seconds 1795680123.25\n" in page


def test_many_threads_lose_no_count():
    metrics = Metrics()

    def work():
        for _ in range(500):
            metrics.done("DEL", 0, 0.001, (("link", 0.0005),))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert families(metrics)["calico_rkt_requests"].samples[0].value == 4000


def test_the_summary_adds_up():
    metrics = Metrics()
    metrics.done("ADD", 0, 0.002, ())
    metrics.done("ADD", 101, 0.004, ())
    metrics.done("DEL", 0, 0.005, ())
    metrics.declined()
    metrics.restored()
    said = read_summary(metrics.text([("start_time_seconds", "x", [((), 0.0)]), ("resident_bytes", "x", [((), 30e6)])]))
    assert (said.calls, said.failed, said.declined, said.restores) == (3, 1, 1, 1)
    assert abs(said.add_ms - 3.0) < 0.001
    assert "3 calls" in str(said)
    assert "30 MB" in str(said)


def test_a_page_of_nobody_is_a_summary_of_nothing():
    assert read_summary("not a page\n# at all\n").calls == 0
