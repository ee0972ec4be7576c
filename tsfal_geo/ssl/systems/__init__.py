"""The semi-supervised systems that TSF is compared with, one module each; importing them registers them."""

from tsfal_geo.ssl.systems import ael as ael
from tsfal_geo.ssl.systems import cct as cct
from tsfal_geo.ssl.systems import cps as cps
from tsfal_geo.ssl.systems import cutmix as cutmix
from tsfal_geo.ssl.systems import gct as gct
from tsfal_geo.ssl.systems import mean_teacher as mean_teacher
from tsfal_geo.ssl.systems import ps_mt as ps_mt
from tsfal_geo.ssl.systems import u2pl as u2pl
from tsfal_geo.ssl.systems import unimatch as unimatch
from tsfal_geo.ssl.systems import unimatch_v2 as unimatch_v2
