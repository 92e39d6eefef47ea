"""Says only where things are: the four top-level folders appear under src/calico_rkt as links."""

from setuptools import find_packages, setup

setup(package_dir={"": "src"}, packages=find_packages("src"))
