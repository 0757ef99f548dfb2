"""From the configuration to the rules of the SIP legs."""

from __future__ import annotations

from cordboard.call.codec_wish import read_codecs
from cordboard.legs.rules import LegRules
from cordboard.server.address_rules import source_filter
from cordboard.server.config import Config, split_host
from cordboard.server.random_ids import new_key


def leg_rules(config: Config) -> LegRules:
    """What holds for every leg of this server."""
    sip, media = config.sip, config.media
    # No trunk: nobody is trusted.
    trusted = [network for trunk in config.trunks.values() for network in trunk.allowed_sources]
    return LegRules(
        codecs=read_codecs(media.codecs).wishes,
        encryption=media.encryption,
        session_timeout=sip.session_timeout,
        asserted_identity=sip.asserted_identity,
        own_hosts=frozenset(host.lower() for host in (sip.address, sip.public_address, sip.domain) if host),
        carrier_hosts=frozenset(split_host(trunk.address, 0)[0].lower() for trunk in config.trunks.values()),
        rtp_timeout=media.rtp_timeout,
        trusts=source_filter(tuple(trusted)),
        new_key=new_key,
    )
