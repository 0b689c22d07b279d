"""What provider calls cost: exact integer prices, dated and explained, from the packaged list or the user."""

from tuppence.prices.book import PriceBook
from tuppence.prices.compute import timed
from tuppence.prices.money import PicoUSD, pico_usd, usd
from tuppence.prices.prefix import CacheMoney, cache_money
from tuppence.prices.rate import GpuHourRate, Line, Rate, TokenRate, gpu_hour_rate, token_rate

__all__ = [
    "CacheMoney",
    "GpuHourRate",
    "Line",
    "PicoUSD",
    "PriceBook",
    "Rate",
    "TokenRate",
    "cache_money",
    "gpu_hour_rate",
    "pico_usd",
    "timed",
    "token_rate",
    "usd",
]
