"""Stochastic views: parameters are drawn once, applying them is a pure function."""

from medssl.views.cascade import Cascade
from medssl.views.config import ViewsConfig

__all__ = ["Cascade", "ViewsConfig"]
