"""Figure 6: kernel size of DGP, latent rank of DWP.

python examples/paper/figure6.py --data criteo --path train.txt --grid paper --out paper_runs.csv
python examples/paper/figure6.py --data synthetic --rows 100000 --grid quick
"""

from command import main

if __name__ == "__main__":
    main("figure6")
