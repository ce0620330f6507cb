"""Three agents with a nats-server beside each share the devices: whatever dies, the API's series go on.

Measured at the API: no gap over interval + 11 s + n / 200 s, no timestamp twice, few polls beyond the due ones.
"""

from pathlib import Path

from support.group import group_site


async def test_a_member_is_killed_another_one_stops_and_both_return(tmp_path: Path):
    async with group_site(tmp_path, 60, 2) as site:
        await site.start("m0", "m1", "m2")
        await site.all_polled()
        since_us = site.now_us()
        await site.agents["m1"].kill()
        for member in ("m0", "m2"):
            await site.agents[member].logged("is lost")
        await site.quiet(3)
        await site.start("m1")
        await site.agents["m2"].stop()
        for member in ("m0", "m1"):
            await site.agents[member].logged("has left the group")
        await site.quiet(5)
        until_us = site.now_us()
        await site.deliver_all()
        site.judge(since_us, until_us, gap_s=2 + 11 + 60 / 200)
