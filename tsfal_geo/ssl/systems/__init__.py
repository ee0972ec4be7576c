"""The semi-supervised systems that TSF is compared with, one module each; importing them registers them."""

from tsfal_geo.ssl.systems import cct as cct
from tsfal_geo.ssl.systems import cps as cps
from tsfal_geo.ssl.systems import cutmix as cutmix
from tsfal_geo.ssl.systems import gct as gct
from tsfal_geo.ssl.systems import mean_teacher as mean_teacher
